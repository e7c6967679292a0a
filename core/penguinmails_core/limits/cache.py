"""Limits of organizations, kept at hand: read on every request.

A change is felt at once where the doorbell reaches, else within the time to live. While an entry that has expired is
read anew, the old one still counts, so that no request waits; a database that is away changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from uuid import UUID

from penguinmails_core.kit.db import FAILED, Database
from penguinmails_core.kit.doorbell import LIMITS, Doorbell
from penguinmails_core.kit.tasks import end
from penguinmails_core.limits import repository
from penguinmails_core.limits.catalogue import SELF_HOSTED, OrganizationLimits
from penguinmails_core.limits.service import build
from penguinmails_core.usage.spent import NOTHING, Spent, spent_of

log = logging.getLogger(__name__)

TTL = 15.0  # seconds
SPENT_TTL = 300.0  # seconds; only the floor under what Redis counts, which it needs when it has forgotten
RETRY = 1.0  # seconds, when the database is away
MAX_ENTRIES = 50_000


class Entry:
    """Limits and what was spent of the send quotas, as of a moment."""

    __slots__ = ("good_until", "limits", "spent", "spent_until")

    def __init__(self, limits: OrganizationLimits, good_until: float) -> None:
        self.limits = limits
        self.good_until = good_until
        self.spent: Spent = NOTHING
        self.spent_until = 0.0


class LimitsCache:
    """`await start()` before use, `await stop()` at the end."""

    def __init__(
        self, database: Database, doorbell: Doorbell | None = None, *, default_plan: str = SELF_HOSTED, ttl: float = TTL
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self.default_plan = default_plan
        self._ttl = ttl
        self._entries: dict[UUID, Entry] = {}
        self._reading: dict[UUID, asyncio.Task[Entry]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._doorbell is not None:
            self._task = asyncio.create_task(self._forget_on_ring(self._doorbell), name="limits")

    async def stop(self) -> None:
        await end(self._task)
        for task in list(self._reading.values()):
            await asyncio.wait((task,))

    def cached(self, organization_id: UUID) -> Entry | None:
        """What is at hand; when it has expired, it is read anew behind the back of the caller."""
        entry = self._entries.get(organization_id)
        if entry is not None and entry.good_until < time.monotonic():
            self._read(organization_id)
        return entry

    async def find(self, organization_id: UUID) -> Entry:
        """Never raises: with the database away, an organization that was never read has no limits for a second."""
        entry = self.cached(organization_id)
        return entry if entry is not None else await asyncio.shield(self._read(organization_id))

    def forget(self) -> None:
        """Read everything anew; answers under way may be from before the change and are not kept."""
        self._entries.clear()
        self._reading.clear()

    def _read(self, organization_id: UUID) -> asyncio.Task[Entry]:
        task = self._reading.get(organization_id)
        if task is None:
            task = asyncio.create_task(self._fetch(organization_id))
            self._reading[organization_id] = task
            task.add_done_callback(lambda done: self._forget_reading(organization_id, done))
        return task

    def _forget_reading(self, organization_id: UUID, task: asyncio.Task[Entry]) -> None:
        if self._reading.get(organization_id) is task:
            del self._reading[organization_id]

    async def _fetch(self, organization_id: UUID) -> Entry:
        task, now = asyncio.current_task(), time.monotonic()
        old = self._entries.get(organization_id)
        try:
            row = await repository.load(self._database.ingest, organization_id, self.default_plan)
            limits = build(organization_id, row)
            if old is not None and old.limits == limits:
                limits = old.limits  # what was derived from it stays valid
            entry = Entry(limits, now + self._ttl)
            if row is not None and row["next_end"] is not None:
                entry.good_until = min(entry.good_until, now + max(0.0, row["next_end"].timestamp() - time.time()))
            await self._count_spent(entry, old)
        except FAILED as error:
            log.warning("limits could not be read (%s)", type(error).__name__)
            entry = old or Entry(build(organization_id, None), now)
            entry.good_until = now + RETRY
        if self._reading.get(organization_id) is task:
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.pop(next(iter(self._entries)))
            self._entries.pop(organization_id, None)
            self._entries[organization_id] = entry
        return entry

    async def _count_spent(self, entry: Entry, old: Entry | None) -> None:
        """From the messages themselves: what Redis counts starts again from there when Redis has lost it."""
        now = time.monotonic()
        if old is not None and old.spent_until > now:
            entry.spent, entry.spent_until = old.spent, old.spent_until
            return
        sends = entry.limits.sends
        organization_id = entry.limits.organization_id
        if sends.per_day is not None or sends.per_month is not None:
            entry.spent = await spent_of(self._database.worker, organization_id)
            entry.spent_until = now + SPENT_TTL

    async def _forget_on_ring(self, doorbell: Doorbell) -> None:
        while True:
            if await doorbell.wait(LIMITS, 3600):
                self.forget()
