"""Reports are read whatever they are packed in, and never more of them than is good for us."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import pytest

from penguinmails_core.domains.reports.ladder import Totals, propose
from penguinmails_core.domains.reports.reading import read
from penguinmails_core.domains.reports.unpacking import UnreadableReport
from tests.fixtures.dmarc import dmarc_report

REPORT = dmarc_report("acme.example", [("192.0.2.1", 5, "pass", "fail"), ("2001:DB8::1", 2, "fail", "fail")])
TLS = {
    "organization-name": "Receiver",
    "date-range": {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"},
    "contact-info": "x@receiver.example",
    "report-id": "r1",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-domain": "Acme.example"},
            "summary": {"total-successful-session-count": 10, "total-failure-session-count": 3},
            "failure-details": [
                {"result-type": "certificate-expired", "failed-session-count": 2},
                {"result-type": "certificate-expired", "failed-session-count": 1},
            ],
        }
    ],
}


def zipped(*files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number}.xml", content)
    return data.getvalue()


@pytest.mark.parametrize("data", [REPORT, gzip.compress(REPORT), zipped(REPORT), b"\xef\xbb\xbf\n" + REPORT])
def test_a_dmarc_report(data: bytes) -> None:
    report = read(data)
    assert (report.kind, report.reporter, report.report_id, report.domain) == (
        "dmarc",
        "receiver.example",
        "1",
        "acme.example",
    )
    assert [(row["source_ip"], row["count"], row["dkim"], row["spf"]) for row in report.rows] == [
        ("192.0.2.1", 5, True, False),
        ("2001:db8::1", 2, False, False),
    ]


def test_a_tls_report() -> None:
    report = read(gzip.compress(json.dumps(TLS).encode()))
    assert (report.kind, report.domain) == ("tls", "acme.example")
    assert report.rows == [{"policy": "sts", "successes": 10, "failures": 3, "reasons": {"certificate-expired": 3}}]


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + REPORT.partition(b"?>")[2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "neither"),
        (b"hello", "neither"),
        (LAUGHS, "document type"),
        (b"<feedback>", "well-formed"),
        (b"<feedback/>", "1 to 255"),
        (b"<a>" * 30 + b"</a>" * 30, "deep"),
        (REPORT.replace(b"192.0.2.1", b"nowhere"), "IP address"),
        (REPORT.replace(b">5<", b">-5<"), "count"),
        (REPORT.replace(b">5<", b">99999999999999<"), "count"),
        (REPORT.replace(b"1764000000", b"17640000000000"), "seconds"),
        (gzip.compress(REPORT)[:-12], "cut off"),
        (b"\x1f\x8b" + b"x" * 50, "damaged"),
        (gzip.compress(b"\0" * 21_000_000), "Unpacked"),
        (zipped(b" " * 21_000_000), "Unpacked"),
        (zipped(REPORT, REPORT), "one file"),
        (b"PK\x03\x04xx", "damaged"),
        (b"{}", "not a TLS report"),
        (b"[" * 5000, "neither"),
        (b'{"a":' + b"[" * 100_000, "not a TLS report"),
        (json.dumps(TLS | {"policies": []}).encode(), "one domain"),
        (b"x" * 1_000_001, "may have"),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableReport, match=words):
        read(data)


@pytest.mark.parametrize(
    ("policy", "totals", "expected"),
    [
        ("none", Totals(1000, 990, 10), ("quarantine", True, ())),
        ("none", Totals(1000, 900, 10), ("quarantine", False, ("too_many_fail",))),
        ("none", Totals(50, 50, 2), ("quarantine", False, ("too_few_days", "too_few_messages"))),
        ("quarantine", Totals(1000, 985, 20), ("reject", False, ("too_many_fail",))),
        ("quarantine", Totals(1000, 990, 20), ("reject", True, ())),
        ("reject", Totals(0, 0, 0), (None, False, ())),
    ],
)
def test_a_step_is_proposed_when_the_reports_allow_it(
    policy: str, totals: Totals, expected: tuple[str | None, bool, tuple[str, ...]]
) -> None:
    found = propose(policy, totals)
    assert (found.next, found.ready, found.reasons) == expected
