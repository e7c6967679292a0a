"""What a sending domain should publish, and how what DNS says compares with it. Pure, but for `look`, which asks the
injected resolver.

Only the RSA DKIM key proves control: it is random, made for one organization and one domain, so only who can write the
zone can publish it. The others make mail arrive. The return path is an address at the domain itself (so SPF is aligned
with From), which is why SPF is asked for there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from penguinmails_core.domains import spf
from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, Resolver

_MOST_VALUES, _MOST_CHARACTERS = 10, 4000
DMARC = "v=DMARC1; p=none"


class Purpose(StrEnum):
    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"


class RecordStatus(StrEnum):
    UNCHECKED = "unchecked"  # nobody has looked yet
    FOUND = "found"
    MISSING = "missing"
    MISMATCH = "mismatch"  # there is something else, or too much
    UNAVAILABLE = "unavailable"  # DNS gave no answer; try again


class Reason(StrEnum):
    """What is wrong with a record."""

    MISSING = "missing"
    SEVERAL = "several"  # receivers then use none of them
    OTHER_KEY = "other_key"
    REVOKED = "revoked"  # a DKIM key without a key (RFC 6376 §3.6.1)
    MECHANISM_MISSING = "mechanism_missing"
    TOO_MANY_LOOKUPS = "too_many_lookups"
    BROKEN_INCLUDE = "broken_include"
    NO_POLICY = "no_policy"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Record:
    """A TXT record to publish. `proof` marks the one that proves control."""

    purpose: Purpose
    name: str
    value: str
    proof: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """What the last look found. `values` are the records of this purpose, shortened."""

    status: RecordStatus
    values: Sequence[str] = ()
    detail: str | None = None
    reason: Reason | None = None

    def to_json(self) -> dict[str, Any]:
        reason = str(self.reason) if self.reason is not None else None
        return {"status": str(self.status), "values": list(self.values), "detail": self.detail, "reason": reason}

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Observation:
        if not stored:
            return cls(RecordStatus.UNCHECKED)
        reason = Reason(stored["reason"]) if stored.get("reason") else None
        return cls(RecordStatus(stored["status"]), tuple(stored["values"]), stored["detail"], reason)


def to_publish(record: Record, seen: Observation) -> str:
    """The value to publish, given what is there. A domain has one SPF record, so ours joins the one it has: a second
    would make receivers use neither (RFC 7208 §4.5). A DMARC policy is the owner's to choose, so a good one stays."""
    if record.purpose is Purpose.SPF and len(seen.values) == 1 and len(seen.values[0]) < _MOST_CHARACTERS:
        return spf.merge(seen.values[0], _servers(record))
    if record.purpose is Purpose.DMARC and seen.status is RecordStatus.FOUND:
        return seen.values[0]
    return record.value


def desired(domain: str, keys: Sequence[tuple[str, str, str]], spf: str = "") -> list[Record]:
    """`keys`: (selector, algorithm, TXT value) of the domain's DKIM keys. `spf`: the mechanisms of the servers that
    mail leaves from (``include:_spf.example.net``); empty when the operator has not said."""
    records = [
        Record(Purpose.DKIM, f"{selector}._domainkey.{domain}", value, algorithm == "rsa-sha256")
        for selector, algorithm, value in sorted(keys)
    ]
    if spf:
        records.append(Record(Purpose.SPF, domain, f"v=spf1 {spf} ~all"))
    return [*records, Record(Purpose.DMARC, f"_dmarc.{domain}", DMARC)]


async def look(resolver: Resolver, records: Sequence[Record]) -> dict[str, Observation]:
    """All records at once, by name. Never raises for what DNS says or fails to say."""
    found = await asyncio.gather(*(_look(resolver, record) for record in records))
    return {record.name: observation for record, observation in zip(records, found, strict=True)}


async def _look(resolver: Resolver, record: Record) -> Observation:
    try:
        values = [_text(value) for value in await resolver.txt(record.name)]
    except NameNotFound:
        values = []
    except DnsUnavailable as error:
        detail = f"DNS gave no usable answer: {error.reason}."
        return Observation(RecordStatus.UNAVAILABLE, (), detail, Reason.UNAVAILABLE)
    seen = judge(record, values)
    if record.purpose is Purpose.SPF and seen.status is RecordStatus.FOUND:
        return await _affordable(resolver, seen)
    return seen


async def _affordable(resolver: Resolver, seen: Observation) -> Observation:
    """An SPF record that names us and that receivers give up on is worth nothing."""
    cost = await spf.cost(resolver, seen.values[0])
    if cost.lookups > spf.MAX_LOOKUPS:
        detail = (
            f"The record needs {cost.lookups} DNS lookups, more than the {spf.MAX_LOOKUPS} that receivers follow, so "
            "they ignore it. Take out `include:`, `a`, `mx`, `ptr` and `exists:` terms that you no longer need."
        )
        return Observation(RecordStatus.MISMATCH, seen.values, detail, Reason.TOO_MANY_LOOKUPS)
    if cost.broken:
        names = ", ".join(cost.broken[:3])
        detail = f"The record includes what is no SPF record ({names}), so receivers ignore it. Take that out."
        return Observation(RecordStatus.MISMATCH, seen.values, detail, Reason.BROKEN_INCLUDE)
    return seen


def judge(record: Record, values: Sequence[str]) -> Observation:
    """Compare what is published at the record's name with what should be."""
    if record.purpose is Purpose.SPF:
        values = [value for value in values if spf.is_spf(value)]
    elif record.purpose is Purpose.DMARC:
        values = [value for value in values if _is_dmarc(value)]
    shown = [value[:_MOST_CHARACTERS] for value in values[:_MOST_VALUES]]
    if not values:
        detail = f"There is no such TXT record at {record.name}."
        return Observation(RecordStatus.MISSING, (), detail, Reason.MISSING)
    if len(values) > 1:
        several = f"There are {len(values)} records at {record.name}; receivers then use none of them. Keep one."
        return Observation(RecordStatus.MISMATCH, shown, several, Reason.SEVERAL)
    wrong = _difference(record, values[0])
    if wrong is None:
        return Observation(RecordStatus.FOUND, shown)
    return Observation(RecordStatus.MISMATCH, shown, wrong[1], wrong[0])


def _difference(record: Record, value: str) -> tuple[Reason, str] | None:
    if record.purpose is Purpose.DKIM:
        key = public_key(value)
        if key is None:
            return Reason.REVOKED, "The record holds no key. Publish exactly the value given here."
        if key != public_key(record.value):
            return Reason.OTHER_KEY, "The record holds another public key. Publish exactly the value given here."
    elif record.purpose is Purpose.SPF:
        if lacking := spf.missing(value, _servers(record)):
            return (
                Reason.MECHANISM_MISSING,
                f"The record does not name {', '.join(lacking)}. Publish the value given here.",
            )
    elif not re.search(r";\s*p\s*=\s*(none|quarantine|reject)\s*(;|$)", value, re.IGNORECASE):
        return Reason.NO_POLICY, "The record has no policy. Add `p=none`, `p=quarantine` or `p=reject`."
    return None  # any DMARC policy is the owner's to choose


def _servers(record: Record) -> str:
    """The mechanisms that an SPF record of ours has beside its end."""
    return " ".join(word for word in record.value.split()[1:] if not word.lower().endswith("all"))


def public_key(value: str) -> str | None:
    """The `p=` tag of a DKIM record without white space (RFC 6376 §3.6.1); None when there is none, or when it is
    empty: a revoked key."""
    for tag in value.split(";"):
        name, equals, content = tag.partition("=")
        if equals and name.strip().lower() == "p":
            return re.sub(r"\s+", "", content) or None
    return None


def _is_dmarc(value: str) -> bool:
    return re.match(r"\s*v\s*=\s*dmarc1\s*(;|$)", value, re.IGNORECASE) is not None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "")
