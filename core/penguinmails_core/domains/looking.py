"""Asking DNS, by every resolver that the operator named: they may disagree, and one that fails counts for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from penguinmails_core.config import DomainsSettings
from penguinmails_core.domains import judging, spf
from penguinmails_core.domains.dns_records import Observation, Purpose, Reason, Record, RecordStatus
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.dns import (
    Answer,
    AnsweringResolver,
    DnsUnavailable,
    Kind,
    NameNotFound,
    Resolver,
    SystemResolver,
)

Resolvers = Mapping[str, Resolver]
_BESIDE: tuple[Kind, ...] = ("TXT", "MX", "A", "AAAA")


def named_resolvers(settings: DomainsSettings) -> dict[str, Resolver]:
    """Those that the operator named; empty: the system's."""
    return {address: SystemResolver([address]) for address in settings.resolvers}


async def look(
    resolvers: Resolver | Resolvers, records: Sequence[Record], now: datetime | None = None
) -> dict[str, Observation]:
    """All records at once, by their keys. Never raises for what DNS says or fails to say."""
    asked = resolvers if isinstance(resolvers, Mapping) else {"system": resolvers}
    found = await asyncio.gather(*(_look(asked, record, now or utcnow()) for record in records))
    return {record.key: observation for record, observation in zip(records, found, strict=True)}


async def _look(resolvers: Resolvers, record: Record, now: datetime) -> Observation:
    each = await asyncio.gather(*(_ask(resolver, record) for resolver in resolvers.values()))
    return judging.together(dict(zip(resolvers, each, strict=True)), now)


async def _ask(resolver: Resolver, record: Record) -> Observation:
    try:
        found = await answer(resolver, record.name, record.type)
        others: list[str] = []
        if record.type == "CNAME" and not found.values and found.exists:
            others = await _beside(resolver, record)
    except DnsUnavailable as error:
        detail = f"DNS gave no usable answer: {error.reason}."
        fix = "Nothing: it is looked at again, and a look without an answer changes nothing."
        return Observation(RecordStatus.UNAVAILABLE, (), detail, Reason.UNAVAILABLE, fix)
    judged = replace(judging.judge(record, found.values, others), ttl=found.ttl)
    if record.purpose is not Purpose.SPF or len(judged.values) > 1:
        return judged
    text = judged.publish or (judged.values[0] if judged.values else record.value)
    return judging.with_cost(judged, await spf.cost(resolver, record.name, text))


async def _beside(resolver: Resolver, record: Record) -> list[str]:
    """What keeps a CNAME from standing at the name."""
    there = await asyncio.gather(*(answer(resolver, record.name, kind) for kind in _BESIDE))
    return [kind for kind, found in zip(_BESIDE, there, strict=True) if found.values]


async def answer(resolver: Resolver, name: str, kind: Kind) -> Answer:
    """Of any resolver; one that only knows the small protocol tells no TTL and no CNAME. Raises `DnsUnavailable`."""
    try:
        if isinstance(resolver, AnsweringResolver):
            return await resolver.answer(name, kind)
        if kind == "TXT":
            return Answer(tuple(text.decode("utf-8", "replace").replace("\0", "") for text in await resolver.txt(name)))
        if kind == "MX":
            return Answer(tuple(f"{preference} {host}" for preference, host in await resolver.mx(name)))
        if kind in ("A", "AAAA"):
            family = [each for each in await resolver.addresses(name) if (":" in each) is (kind == "AAAA")]
            return Answer(tuple(family))
    except NameNotFound:
        return Answer((), None, False)
    raise DnsUnavailable(name, f"this resolver cannot ask for {kind}")
