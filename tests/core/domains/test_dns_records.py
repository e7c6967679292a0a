"""What a domain should publish, and how what DNS says is judged."""

from __future__ import annotations

import pytest

from penguinmails_core.domains.dns_records import Purpose, Record, RecordStatus, desired
from penguinmails_core.domains.judging import judge, public_key
from penguinmails_core.domains.looking import look
from penguinmails_core.domains.policy import DnsPolicy, KeyFacts, Wanted
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver

KEYS = (
    KeyFacts("pm2", "ed25519-sha256", "v=DKIM1; k=ed25519; p=BBBB"),
    KeyFacts("pm1", "rsa-sha256", "v=DKIM1; k=rsa; p=AAAA"),
)
SERVERS = "include:_spf.example.net"


def test_the_records_of_a_domain() -> None:
    records = desired(Wanted("acme.example", KEYS, DnsPolicy(spf=SERVERS)))
    assert [(record.purpose, record.name, record.proof) for record in records] == [
        (Purpose.DKIM, "pm1._domainkey.acme.example", True),
        (Purpose.DKIM, "pm2._domainkey.acme.example", False),
        (Purpose.SPF, "acme.example", False),
        (Purpose.DMARC, "_dmarc.acme.example", False),
    ]
    assert records[2].value == "v=spf1 include:_spf.example.net ~all"
    assert Purpose.SPF not in [record.purpose for record in desired(Wanted("acme.example", KEYS))]


DKIM = Record(Purpose.DKIM, "pm1._domainkey.acme.example", "v=DKIM1; k=rsa; p=AAAA", True)
SPF = Record(
    Purpose.SPF,
    "acme.example",
    "v=spf1 include:_spf.example.net ip4:192.0.2.1 ~all",
    terms=("include:_spf.example.net ip4:192.0.2.1",),
)
DMARC = Record(Purpose.DMARC, "_dmarc.acme.example", "v=DMARC1; p=none")


@pytest.mark.parametrize(
    ("record", "values", "status"),
    [
        (DKIM, [], RecordStatus.MISSING),
        (DKIM, ["v=DKIM1; k=rsa; p=AAAA"], RecordStatus.FOUND),
        (DKIM, ["p=AA AA ;k=rsa"], RecordStatus.FOUND),
        (DKIM, ["v=DKIM1; k=rsa; p=CCCC"], RecordStatus.MISMATCH),
        (DKIM, ["v=DKIM1; p="], RecordStatus.MISMATCH),
        (DKIM, ["v=DKIM1; p=AAAA", "v=DKIM1; p=CCCC"], RecordStatus.MISMATCH),
        (SPF, ["google-site-verification=x"], RecordStatus.MISSING),
        (SPF, ["v=spf1 include:_SPF.example.net ip4:192.0.2.1 mx -all", "other"], RecordStatus.FOUND),
        (SPF, ["v=spf1 ip4:192.0.2.1 -all"], RecordStatus.MISMATCH),
        (SPF, ["v=spf1 include:_spf.example.net ip4:192.0.2.1 -all", "v=spf1 -all"], RecordStatus.MISMATCH),
        (SPF, ["v=spf10 include:_spf.example.net"], RecordStatus.MISSING),
        (DMARC, ["v=DMARC1; p=reject; rua=mailto:a@b.example"], RecordStatus.FOUND),
        (DMARC, ["v = DMARC1 ; p = Quarantine"], RecordStatus.FOUND),
        (DMARC, ["v=DMARC1; sp=none"], RecordStatus.MISMATCH),
        (DMARC, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], RecordStatus.MISMATCH),
        (DMARC, [""], RecordStatus.MISSING),
    ],
)
def test_what_is_published_is_judged(record: Record, values: list[str], status: RecordStatus) -> None:
    seen = judge(record, values)
    assert seen.status is status
    assert (seen.detail is None) == (status is RecordStatus.FOUND)


def test_what_is_kept_is_bounded() -> None:
    seen = judge(DKIM, ["v=DKIM1; p=" + "A" * 5000] * 50)
    assert len(seen.values) == 10
    assert max(len(value) for value in seen.values) == 4000


def test_public_keys_are_compared_without_white_space() -> None:
    assert public_key("v=DKIM1; p=A B\tC") == "ABC"
    assert public_key("v=DKIM1; k=rsa") is None


async def test_no_answer_is_no_news() -> None:
    resolver = StaticResolver(
        {"_dmarc.acme.example": {"TXT": DnsUnavailable("_dmarc.acme.example", "SERVFAIL")}, "acme.example": {}}
    )
    seen = await look(resolver, [DKIM, SPF, DMARC])
    assert [seen[record.name].status for record in (DKIM, SPF, DMARC)] == [
        RecordStatus.MISSING,
        RecordStatus.MISSING,
        RecordStatus.UNAVAILABLE,
    ]


async def test_octets_that_are_no_text_do_no_harm() -> None:
    seen = await look(StaticResolver({DKIM.name: {"TXT": [b"p=\xff\x00AAAA"]}}), [DKIM])
    assert seen[DKIM.name].status is RecordStatus.MISMATCH
    assert "\0" not in seen[DKIM.name].values[0]
