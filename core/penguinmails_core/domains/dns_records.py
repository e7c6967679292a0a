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

from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, Resolver

_MOST_VALUES, _MOST_CHARACTERS = 10, 1000
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

    def to_json(self) -> dict[str, Any]:
        return {"status": str(self.status), "values": list(self.values), "detail": self.detail}

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Observation:
        if not stored:
            return cls(RecordStatus.UNCHECKED)
        return cls(RecordStatus(stored["status"]), tuple(stored["values"]), stored["detail"])


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
        return Observation(RecordStatus.UNAVAILABLE, (), f"DNS gave no usable answer: {error.reason}.")
    return judge(record, values)


def judge(record: Record, values: Sequence[str]) -> Observation:
    """Compare what is published at the record's name with what should be."""
    if record.purpose is not Purpose.DKIM:
        version = "v=spf1" if record.purpose is Purpose.SPF else "v=dmarc1"
        values = [value for value in values if _first_tag(value) == version]
    shown = [value[:_MOST_CHARACTERS] for value in values[:_MOST_VALUES]]
    if not values:
        return Observation(RecordStatus.MISSING, (), f"There is no such TXT record at {record.name}.")
    if len(values) > 1:
        several = f"There are {len(values)} records at {record.name}; receivers then use none of them. Keep one."
        return Observation(RecordStatus.MISMATCH, shown, several)
    detail = _difference(record, values[0])
    return Observation(RecordStatus.MISMATCH if detail else RecordStatus.FOUND, shown, detail)


def _difference(record: Record, value: str) -> str | None:
    if record.purpose is Purpose.DKIM:
        if public_key(value) != public_key(record.value):
            return "The record holds another public key. Publish exactly the value given here."
    elif record.purpose is Purpose.SPF:
        wanted = [word for word in record.value.lower().split()[1:] if not word.endswith("all")]
        missing = [word for word in wanted if word not in value.lower().split()]
        if missing:
            return f"The record does not name {', '.join(missing)}. Add it before the final `all`."
    elif not re.search(r";\s*p\s*=\s*(none|quarantine|reject)\s*(;|$)", value, re.IGNORECASE):
        return "The record has no policy. Add `p=none`, `p=quarantine` or `p=reject`."
    return None  # any DMARC policy is the owner's to choose


def public_key(value: str) -> str | None:
    """The `p=` tag of a DKIM record without white space (RFC 6376 §3.6.1); None when there is none, or when it is
    empty: a revoked key."""
    for tag in value.split(";"):
        name, equals, content = tag.partition("=")
        if equals and name.strip().lower() == "p":
            return re.sub(r"\s+", "", content) or None
    return None


def _first_tag(value: str) -> str:
    """``v=spf1`` of an SPF record, ``v=dmarc1`` of a DMARC one."""
    head = re.split(r"[;\s]", value.strip(), maxsplit=1)[0] if value.strip() else ""
    match = re.match(r"v\s*=\s*([^;\s]+)", value.strip(), re.IGNORECASE)
    return f"v={match[1].lower()}" if match else head.lower()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "")
