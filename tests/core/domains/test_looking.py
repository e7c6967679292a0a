"""The optional records, what stands in their way, and resolvers that disagree."""

from __future__ import annotations

from datetime import UTC, datetime

from penguinmails_core.domains.dmarc import merged
from penguinmails_core.domains.dns_records import Observation, Publisher, Purpose, Record, RecordStatus, desired
from penguinmails_core.domains.judging import judge
from penguinmails_core.domains.looking import look
from penguinmails_core.domains.policy import DnsPolicy, DomainOptions, KeyFacts, Wanted
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = KeyFacts("pm1", "rsa-sha256", "v=DKIM1; k=rsa; p=AAAA")
POLICY = DnsPolicy(
    spf="include:_spf.host.example",
    return_path_host="rp.host.example",
    tracking_host="links.host.example",
    mta_sts_host="sts.host.example",
    dmarc_reports="dmarc@host.example",
    tls_reports="tls@host.example",
)
ALL = DomainOptions(dmarc_policy="reject", mta_sts="enforce", tls_reports=True, bimi_logo="https://acme.example/l.svg")


def wanted(options: DomainOptions = ALL, **keys: str) -> list[Record]:
    return desired(Wanted("acme.example", (KEY,), POLICY, options))


def of(purpose: Purpose, records: list[Record]) -> Record:
    return next(record for record in records if record.purpose is purpose)


def test_every_record_that_applies() -> None:
    assert [(record.type, record.name, record.value) for record in wanted()[1:3]] == [
        ("TXT", "acme.example", "v=spf1 include:_spf.host.example ~all"),
        ("TXT", "_dmarc.acme.example", "v=DMARC1; p=reject; rua=mailto:dmarc@host.example"),
    ]
    shown = {(record.type, record.name): record.value for record in wanted()}
    assert shown["CNAME", "bounces.acme.example"] == "rp.host.example"
    assert shown["CNAME", "links.acme.example"] == "links.host.example"
    assert shown["CNAME", "mta-sts.acme.example"] == "sts.host.example"
    assert shown["TXT", "_mta-sts.acme.example"].startswith("v=STSv1; id=")
    assert shown["TXT", "_smtp._tls.acme.example"] == "v=TLSRPTv1; rua=mailto:tls@host.example"
    assert shown["TXT", "default._bimi.acme.example"] == "v=BIMI1; l=https://acme.example/l.svg; a="
    assert shown["TXT", "acme.example._report._dmarc.host.example"] == "v=DMARC1"
    assert of(Purpose.DMARC_AUTHORISATION, wanted()).publisher is Publisher.OPERATOR


def test_what_the_owner_did_not_choose_is_not_asked_for() -> None:
    few = wanted(DomainOptions(return_path=False, tracking=False, bimi_logo="https://acme.example/l.svg"))
    assert {record.purpose for record in few} == {
        Purpose.DKIM,
        Purpose.SPF,
        Purpose.DMARC,
        Purpose.DMARC_AUTHORISATION,
    }


def test_a_policy_change_has_a_new_id() -> None:
    one, other = wanted(), wanted(DomainOptions(mta_sts="testing"))
    assert of(Purpose.MTA_STS, one).value != of(Purpose.MTA_STS, other).value


def test_an_existing_record_is_merged_and_keeps_what_the_owner_wrote() -> None:
    spf = judge(of(Purpose.SPF, wanted()), ["v=spf1 mx -all", "other"])
    assert (spf.reason, spf.publish) == ("mechanism_missing", "v=spf1 mx include:_spf.host.example -all")
    theirs = "v=DMARC1; p=none; pct=50; rua=mailto:a@b.example!10m; adkim=s"
    dmarc = judge(of(Purpose.DMARC, wanted()), [theirs])
    assert dmarc.reason == "weaker_policy"
    assert dmarc.publish == ("v=DMARC1; p=reject; rua=mailto:a@b.example!10m,mailto:dmarc@host.example; adkim=s")
    assert judge(of(Purpose.DMARC, wanted()), [dmarc.publish]).status is RecordStatus.FOUND
    # A stricter policy is the owner's to keep.
    assert merged("v=DMARC1; p=reject", "none", "") == "v=DMARC1; p=reject"


def test_reports_that_go_elsewhere_are_told_of() -> None:
    seen = judge(of(Purpose.DMARC, wanted()), ["v=DMARC1; p=reject; rua=mailto:x@y.example"])
    assert (seen.status, seen.reason) == (RecordStatus.MISMATCH, "reports_elsewhere")


def test_a_revoked_key_may_be_empty_or_gone() -> None:
    record = desired(Wanted("acme.example", (KeyFacts("pm1", "rsa-sha256", KEY.value, "revoked"),)))[0]
    assert (record.value, record.proof) == ("v=DKIM1; k=rsa; p=", False)
    assert judge(record, []).status is RecordStatus.FOUND
    assert judge(record, ["v=DKIM1; p="]).status is RecordStatus.FOUND
    assert judge(record, [KEY.value]).reason == "not_revoked"


async def test_a_cname_cannot_stand_beside_others() -> None:
    world = StaticResolver(
        {
            "bounces.acme.example": {"TXT": ["v=spf1 -all"], "MX": [(1, "m.example")]},
            "links.acme.example": {"CNAME": ["Elsewhere.example."]},
        }
    )
    records = [of(Purpose.RETURN_PATH, wanted()), of(Purpose.TRACKING, wanted())]
    seen = await look(world, records)
    assert seen[records[0].key].reason == "cname_conflict"
    assert list(seen[records[0].key].conflicts) == ["TXT", "MX"]
    assert (seen[records[1].key].reason, seen[records[1].key].values) == ("other_target", ("elsewhere.example",))
    world = StaticResolver({"links.acme.example": {"CNAME": ["links.host.example"]}})
    assert (await look(world, records[1:]))[records[1].key].status is RecordStatus.FOUND


async def test_resolvers_may_disagree_and_one_that_fails_counts_for_nothing() -> None:
    record = of(Purpose.DKIM, wanted())
    there = StaticResolver({record.name: {"TXT": [KEY.value], "TTL": 300}})
    old = StaticResolver({record.name: {"TXT": [], "TTL": 3600}})
    dead = StaticResolver({record.name: {"TXT": DnsUnavailable(record.name, "SERVFAIL")}})

    async def seen(**resolvers: StaticResolver) -> Observation:
        return (await look(resolvers, [record], NOW))[record.key]

    assert (await seen(a=there, b=dead, c=dead)).status is RecordStatus.FOUND
    assert (await seen(a=there, b=there, c=old)).status is RecordStatus.FOUND
    half = await seen(a=there, b=old)
    assert (half.status, half.visible_by) == (RecordStatus.PROPAGATING, "2026-11-25T13:00:00+00:00")
    gone = await seen(a=old, b=dead)
    assert (gone.status, gone.visible_by) == (RecordStatus.MISSING, "2026-11-25T13:00:00+00:00")
    assert [(one.resolver, one.status) for one in gone.resolvers] == [
        ("a", RecordStatus.MISSING),
        ("b", RecordStatus.UNAVAILABLE),
    ]
    assert (await seen(a=dead, b=dead)).status is RecordStatus.UNAVAILABLE
    assert Observation.of(half.to_json()) == half


async def test_spf_that_cannot_be_evaluated_is_no_spf() -> None:
    record = of(Purpose.SPF, wanted())
    names = [f"{number}.example" for number in range(10)]
    text = "v=spf1 include:_spf.host.example " + " ".join(f"include:{name}" for name in names) + " -all"
    good = {name: {"TXT": ["v=spf1 -all"]} for name in [*names, "_spf.host.example"]}
    seen = (await look(StaticResolver({**good, "acme.example": {"TXT": [text]}}), [record]))[record.key]
    assert (seen.status, seen.reason, seen.lookups) == (RecordStatus.MISMATCH, "too_many_lookups", 11)
