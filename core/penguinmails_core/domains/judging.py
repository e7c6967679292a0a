"""How what DNS says at a record's name compares with what should be there. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from penguinmails_core.domains import dmarc, spf
from penguinmails_core.domains.dns_records import Observation, Purpose, Reason, Record, RecordStatus, Seen

_MOST_VALUES, _MOST_CHARACTERS = 10, 4000
_VERSIONS = {
    Purpose.MTA_STS: "stsv1",
    Purpose.TLS_REPORTS: "tlsrptv1",
    Purpose.BIMI: "bimi1",
}


def judge(record: Record, values: Sequence[str], others: Sequence[str] = ()) -> Observation:
    """`values` are the records of the type at the name; `others` what else is there, such as ``TXT`` beside a CNAME
    that is to be."""
    if record.type == "CNAME":
        return _alias(record, values, others)
    values = [value for value in values if _is_of(record.purpose, value)]
    shown = shorten(values)
    if record.terms == ("revoked",) and not any(public_key(value) for value in values):
        return Observation(RecordStatus.FOUND, shown)  # none at all is as good as an empty one
    if not values:
        detail = f"There is no such TXT record at {record.name}."
        return Observation(RecordStatus.MISSING, (), detail, Reason.MISSING, "Publish the record.")
    if len(values) > 1:
        several = f"There are {len(values)} records at {record.name}; receivers then use none of them. Keep one."
        fix = "Keep one record and delete the others."
        return Observation(RecordStatus.MISMATCH, shown, several, Reason.SEVERAL, fix, conflicts=shown)
    difference = _difference(record, values[0])
    if difference is None:
        kept = values[0] if record.purpose in (Purpose.SPF, Purpose.DMARC) else None
        return Observation(RecordStatus.FOUND, shown, publish=kept)
    reason, detail, publish = difference
    fix = "Replace the record with the value given here."
    return Observation(RecordStatus.MISMATCH, shown, detail, reason, fix, publish)


def with_cost(found: Observation, cost: spf.Cost | None) -> Observation:
    """An SPF record that receivers cannot evaluate is no SPF record, whatever it names."""
    if cost is None or not cost.complete:
        return found
    counted = replace(found, lookups=cost.lookups, void=cost.void)
    if found.status is not RecordStatus.FOUND or not (cost.too_much or cost.broken):
        return counted
    if not cost.too_much:
        names = ", ".join(cost.broken[:3])
        detail = f"The record includes what is no SPF record ({names}), so receivers ignore it."
        fix = "Take that out."
        return replace(
            counted, status=RecordStatus.MISMATCH, reason=Reason.BROKEN_INCLUDE, detail=detail, fix=fix, publish=None
        )
    detail = (
        f"Evaluating the record takes {cost.lookups} DNS lookups ({spf.MOST_LOOKUPS} are allowed), {cost.void} of them "
        f"without a result ({spf.MOST_VOID} are allowed); receivers then treat it as broken (RFC 7208 §4.6.4)."
    )
    fix = "Remove includes that no mail of yours needs any more."
    return replace(
        counted, status=RecordStatus.MISMATCH, reason=Reason.TOO_MANY_LOOKUPS, detail=detail, fix=fix, publish=None
    )


def together(seen: Mapping[str, Observation], now: datetime) -> Observation:
    """Of several resolvers. Those without an answer do not count; a record that most see is found."""
    each = tuple(Seen(name, one.status, one.values, one.ttl) for name, one in seen.items())
    answered = [one for one in seen.values() if one.status is not RecordStatus.UNAVAILABLE]
    if not answered:
        return replace(next(iter(seen.values())), resolvers=each)
    good = [one for one in answered if one.status is RecordStatus.FOUND]
    if 2 * len(good) > len(answered):
        return replace(good[0], resolvers=each)
    bad = next(one for one in answered if one.status is not RecordStatus.FOUND)
    waits = [one.ttl for one in answered if one.ttl is not None and one.status is not RecordStatus.FOUND]
    by = (now + timedelta(seconds=max(waits))).isoformat(timespec="seconds") if waits else None
    if good:
        detail = f"{len(good)} of {len(answered)} resolvers see the record; the others still hold an older answer."
        status, fix = RecordStatus.PROPAGATING, "Wait; nothing is to be done."
        return replace(
            bad, status=status, detail=detail, reason=Reason.PROPAGATING, fix=fix, visible_by=by, resolvers=each
        )
    return replace(bad, visible_by=by, resolvers=each)


def _alias(record: Record, values: Sequence[str], others: Sequence[str]) -> Observation:
    shown = shorten(values)
    if [value.rstrip(".").lower() for value in values] == [record.value]:
        return Observation(RecordStatus.FOUND, shown)
    if values:
        detail = f"{record.name} is an alias of {shown[0]}."
        fix = "Point the CNAME to the value given here."
        return Observation(RecordStatus.MISMATCH, shown, detail, Reason.OTHER_TARGET, fix)
    if others:
        detail = f"{record.name} has {', '.join(others)} records; a CNAME cannot stand beside others (RFC 1034 §3.6.2)."
        fix = f"Delete the {', '.join(others)} records at {record.name}, then publish the CNAME."
        return Observation(RecordStatus.MISMATCH, (), detail, Reason.CNAME_CONFLICT, fix, conflicts=tuple(others))
    detail = f"There is no CNAME record at {record.name}."
    return Observation(RecordStatus.MISSING, (), detail, Reason.MISSING, "Publish the record.")


def _is_of(purpose: Purpose, value: str) -> bool:
    if purpose is Purpose.DKIM:
        return True
    if purpose is Purpose.SPF:
        return spf.is_spf(value)
    if purpose in (Purpose.DMARC, Purpose.DMARC_AUTHORISATION):
        return dmarc.is_dmarc(value)
    return dmarc.tags(value).get("v", "").lower() == _VERSIONS[purpose]


def _difference(record: Record, value: str) -> tuple[Reason, str, str | None] | None:
    """(reason, detail, what to publish instead of the record's own value); None when all is well."""
    if record.purpose is Purpose.DKIM:
        return _key_difference(record, value)
    if record.purpose is Purpose.SPF:
        missing = spf.missing(value, record.terms[0])
        detail = f"The record does not name {', '.join(missing)}. Add it before the final `all`."
        return (Reason.MECHANISM_MISSING, detail, spf.merged(value, record.terms[0])) if missing else None
    if record.purpose is Purpose.DMARC:
        return _dmarc_difference(record, value)
    if record.purpose is Purpose.TLS_REPORTS and dmarc.reports_to(value, record.terms[0]):
        return None
    if record.purpose is Purpose.DMARC_AUTHORISATION or dmarc.tags(value) == dmarc.tags(record.value):
        return None
    return Reason.OTHER_VALUE, "The record says something else. Publish exactly the value given here.", None


def _key_difference(record: Record, value: str) -> tuple[Reason, str, str | None] | None:
    if public_key(value) == public_key(record.value):
        return None
    if public_key(value) is None:
        return Reason.REVOKED, "The record holds no key (`p=` is empty). Publish exactly the value given here.", None
    if record.terms == ("revoked",):
        return Reason.NOT_REVOKED, "The record still holds the old key. Empty its `p=` or delete the record.", None
    return Reason.OTHER_KEY, "The record holds another public key. Publish exactly the value given here.", None


def _dmarc_difference(record: Record, value: str) -> tuple[Reason, str, str | None] | None:
    wanted, reports = record.terms or ("none", "")
    now, publish = dmarc.policy_of(value), dmarc.merged(value, wanted, reports)
    if now is None:
        detail = "The record has no policy. Add `p=none`, `p=quarantine` or `p=reject`."
        return Reason.NO_POLICY, detail, publish
    if dmarc.POLICIES.index(now) < dmarc.POLICIES.index(wanted):
        return Reason.WEAKER_POLICY, f"The policy is `{now}`, and this domain's settings want `{wanted}`.", publish
    if reports and not dmarc.reports_to(value, reports):
        detail = f"Aggregate reports are not sent to {reports}, so nobody here sees who uses the domain."
        return Reason.REPORTS_ELSEWHERE, detail, publish
    return None


def public_key(value: str) -> str | None:
    """The `p=` tag of a DKIM record without white space (RFC 6376 §3.6.1); None when there is none, or when it is
    empty: a revoked key."""
    for tag in value.split(";"):
        name, equals, content = tag.partition("=")
        if equals and name.strip().lower() == "p":
            return re.sub(r"\s+", "", content) or None
    return None


def shorten(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value[:_MOST_CHARACTERS] for value in values[:_MOST_VALUES])
