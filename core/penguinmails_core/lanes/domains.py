"""Which provider takes a domain's mail: asked of DNS behind the back of everybody, remembered in the database, and held
in memory where mail is accepted.

An accept never waits for DNS: a domain that nobody has mailed yet starts in the lanes of `other`, and the sender, which
meets it there, looks it up and moves its mail (`sender/lanes/sorting.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from penguinmails_core.kit import providers
from penguinmails_core.kit.db import FAILED, Pool
from penguinmails_core.kit.dns import DnsError, NameNotFound, Resolver
from penguinmails_core.kit.tasks import end
from penguinmails_core.lanes import domains_repository as repository
from penguinmails_core.lanes.groups import group_of_host

log = logging.getLogger(__name__)

MOST = 200_000  # domains in memory: some 30 MB
_PAGE = 10_000
_EVERY = 5.0  # seconds between looks for what was learned
_GOOD = timedelta(days=7)  # until a domain is asked again
_GONE = timedelta(hours=1)  # its name did not exist
_AWAY = timedelta(minutes=5)  # DNS did not answer
_UNSEEN = timedelta(days=90)
_LOOKUPS = 50  # at once


@dataclass(frozen=True, slots=True)
class Found:
    """What DNS said. `host` None: it said nothing. `good_for`: until it is worth asking again."""

    domain: str
    group: str
    host: str | None
    good_for: timedelta


async def look_up(resolver: Resolver, domain: str) -> Found:
    """Raises nothing: a resolver's trouble makes `other` for five minutes, never a guess that lasts."""
    try:
        records = await resolver.mx(domain)
    except NameNotFound:
        return Found(domain, providers.OTHER, None, _GONE)
    except DnsError:
        return Found(domain, providers.OTHER, None, _AWAY)
    # Without an MX the domain's own host takes its mail (RFC 5321 §5.1).
    host = records[0][1] if records else domain
    return Found(domain, group_of_host(host), host, _GOOD)


async def look_up_all(resolver: Resolver, domains: Iterable[str]) -> list[Found]:
    gate = asyncio.Semaphore(_LOOKUPS)

    async def one(domain: str) -> Found:
        async with gate:
            return await look_up(resolver, domain)

    return await asyncio.gather(*[one(domain) for domain in domains])


async def remember(pool: Pool, found: Iterable[Found]) -> None:
    """In the database, and for lanes made by this process at once."""
    rows = list(found)
    await repository.learn(pool, [(row.domain, row.group, row.host, row.good_for.total_seconds()) for row in rows])
    for row in rows:
        providers.learn(row.domain, row.group)


class DomainGroups:
    """Keeps this process's memory of learned groups up to date. `await start()` reads it once; a database that is away
    changes nothing, and mail then starts in `other`."""

    def __init__(self, pool: Pool, *, every: float = _EVERY) -> None:
        self._pool = pool
        self._every = every
        self._since: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._try()
        self._task = asyncio.create_task(self._run(), name="recipient domains")

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.refresh()
        except FAILED as error:
            log.debug("recipient domains: not read (%s)", type(error).__name__)

    async def refresh(self) -> None:
        """Read what has changed since the last time. A transaction that began earlier may commit later, so the last
        minute is read again."""
        first = self._since is None
        while True:
            rows = await repository.changed_since(self._pool, self._since, MOST if first else _PAGE)
            for row in rows:
                providers.learn(row["domain"], row["provider_group"])
            if rows:
                newest = max(row["updated_at"] for row in rows)
                since = newest - timedelta(minutes=1)
                behind = not first and len(rows) == _PAGE and newest > (self._since or since)
                self._since = newest if behind else since
            elif first:
                self._since = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
            if first or len(rows) < _PAGE:
                return


async def recheck(pool: Pool, resolver: Resolver, limit: int = 500) -> int:
    """Ask again what was learned long ago, forget what nobody mails. Returns how many were asked."""
    await repository.forget_unseen(pool, _UNSEEN)
    domains = await repository.due_for_recheck(pool, limit)
    if domains:
        await remember(pool, await look_up_all(resolver, domains))
    return len(domains)
