"""DMARC aggregate reports (RFC 9990 and, as most still come, RFC 7489 appendix C) and TLS reports (RFC 8460), read by
ourselves: the libraries that read them bring mail clients, search engines and look-ups of every address with them."""

from __future__ import annotations

import ipaddress
import json
import xml.parsers.expat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penguinmails_core.domains.reports.unpacking import UnreadableReport, unpack

MOST_ROWS = 10_000
_DEPTH, _TEXT = 20, 2000
_MOST_COUNT = 10**9
_FIRST, _LAST = 946_684_800, 4_102_444_800  # 2000 to 2100, in seconds


@dataclass(frozen=True, slots=True)
class Report:
    """`kind` is ``dmarc`` or ``tls``. Rows of DMARC: `source_ip`, `count`, `dkim`, `spf` (did it pass, aligned),
    `disposition`; of TLS: `policy`, `successes`, `failures`, `reasons`."""

    kind: str
    reporter: str
    report_id: str
    domain: str
    begins_at: datetime
    ends_at: datetime
    rows: list[dict[str, Any]]


def read(data: bytes) -> Report:
    """Raises `UnreadableReport`."""
    text = unpack(data).lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        return _tls(text)
    if text.startswith(b"<"):
        return _dmarc(text)
    raise UnreadableReport("This is neither an aggregate DMARC report (XML) nor a TLS report (JSON).")


class _Tree:
    """XML as nested lists of (name, text, children); declarations that could reach or multiply anything are refused."""

    def __init__(self) -> None:
        self.root: list[Any] = ["", "", []]
        self._path = [self.root]
        self._elements = 0

    def parse(self, data: bytes) -> None:
        parser = xml.parsers.expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(data, True)
        except (xml.parsers.expat.ExpatError, LookupError, ValueError):
            raise UnreadableReport("The XML is not well-formed.") from None

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._elements += 1
        if len(self._path) > _DEPTH or self._elements > 60 * MOST_ROWS:
            raise UnreadableReport("The report is nested too deep or has too many elements.")
        element: list[Any] = [name.rpartition(":")[2].lower(), "", []]
        self._path[-1][2].append(element)
        self._path.append(element)

    def _end(self, _: str) -> None:
        self._path.pop()

    def _text(self, data: str) -> None:
        element = self._path[-1]
        element[1] = (element[1] + data)[:_TEXT]

    def _refuse(self, *_: Any) -> None:
        raise UnreadableReport("A report has no document type declaration.")


def _child(element: list[Any], *path: str) -> list[Any]:
    for name in path:
        element = next((child for child in element[2] if child[0] == name), ["", "", []])
    return element


def _text_of(element: list[Any], *path: str) -> str:
    text: str = _child(element, *path)[1]
    return text.strip().replace("\0", "")


def _dmarc(data: bytes) -> Report:
    tree = _Tree()
    tree.parse(data)
    feedback = _child(tree.root, "feedback")
    metadata, policy = _child(feedback, "report_metadata"), _child(feedback, "policy_published")
    records = [child for child in feedback[2] if child[0] == "record"]
    if len(records) > MOST_ROWS:
        raise UnreadableReport(f"A report may have {MOST_ROWS:,} records.")
    return Report(
        "dmarc",
        _named(_text_of(metadata, "org_name"), "org_name"),
        _named(_text_of(metadata, "report_id"), "report_id"),
        _named(_text_of(policy, "domain").rstrip(".").lower(), "domain"),
        _moment(_text_of(metadata, "date_range", "begin")),
        _moment(_text_of(metadata, "date_range", "end")),
        [_row(record) for record in records],
    )


def _row(record: list[Any]) -> dict[str, Any]:
    row = _child(record, "row")
    try:
        source = str(ipaddress.ip_address(_text_of(row, "source_ip")))
    except ValueError:
        raise UnreadableReport("A record has no IP address as `source_ip`.") from None
    evaluated = _child(row, "policy_evaluated")
    disposition = _text_of(evaluated, "disposition").lower()
    return {
        "source_ip": source,
        "count": _count(_text_of(row, "count")),
        "dkim": _text_of(evaluated, "dkim").lower() == "pass",
        "spf": _text_of(evaluated, "spf").lower() == "pass",
        "disposition": disposition if disposition in ("none", "quarantine", "reject", "pass") else "none",
    }


def _tls(data: bytes) -> Report:
    try:
        document = json.loads(data)
        span, policies = document["date-range"], document["policies"]
        if len(policies) > MOST_ROWS:
            raise UnreadableReport(f"A report may have {MOST_ROWS:,} policies.")
        domains = {str(each["policy"]["policy-domain"]).rstrip(".").lower() for each in policies}
        if len(domains) != 1:
            raise UnreadableReport("A TLS report must be about one domain.")
        return Report(
            "tls",
            _named(str(document["organization-name"]), "organization-name"),
            _named(str(document["report-id"]), "report-id"),
            _named(domains.pop(), "policy-domain"),
            _rfc3339(span["start-datetime"]),
            _rfc3339(span["end-datetime"]),
            [_policy(each) for each in policies],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableReport("The JSON is not a TLS report (RFC 8460 §4.4).") from None


def _policy(each: Mapping[str, Any]) -> dict[str, Any]:
    summary = each["summary"]
    reasons: dict[str, int] = {}
    for detail in each.get("failure-details", [])[:100]:
        name = _named(str(detail["result-type"]), "result-type")
        reasons[name] = reasons.get(name, 0) + _count(str(detail["failed-session-count"]))
    return {
        "policy": _named(str(each["policy"]["policy-type"]), "policy-type"),
        "successes": _count(str(summary["total-successful-session-count"])),
        "failures": _count(str(summary["total-failure-session-count"])),
        "reasons": reasons,
    }


def _named(text: str, what: str) -> str:
    """As it may be kept: readable, and encodable."""
    clean = text.encode("utf-8", "replace").decode().replace("\0", "").strip()
    if not clean or len(clean) > 255:
        raise UnreadableReport(f"`{what}` must have 1 to 255 characters.")
    return clean


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _MOST_COUNT:
        raise UnreadableReport("A count is not a number, or too large.")
    return int(text)


def _moment(text: str) -> datetime:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not _FIRST <= int(text) <= _LAST:
        raise UnreadableReport("`date_range` must have seconds since 1970.")
    return datetime.fromtimestamp(int(text), UTC)


def _rfc3339(text: Any) -> datetime:
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return _moment(str(int(found.timestamp())))
