"""`usage.threshold_reached`: told once for each quota, period and threshold, by whichever process is first.

The limiter hints that a quota is getting short; what is told comes from the messages and counters themselves, so the
hint is kept until they agree.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import FAILED, Database
from penguinmails_core.kit.doorbell import EVENTS, Doorbell
from penguinmails_core.kit.tasks import end
from penguinmails_core.limits.service import limits_of
from penguinmails_core.usage import repository
from penguinmails_core.usage.quotas import THRESHOLDS, Quota
from penguinmails_core.usage.service import quotas

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds
MAX_HINTS = 10_000
_NAMESPACE = UUID("6f0c5f5e-6a0b-5d53-9a4a-5e0f7f3f2d11")

Hint = tuple[UUID, str, float, int]
"""(organization, quota, start of the period in Unix time, threshold)"""


class ThresholdWatch:
    """`await start()` before use, `await stop()` at the end."""

    def __init__(self, database: Database, doorbell: Doorbell, *, default_plan: str, every: float = EVERY) -> None:
        self._database = database
        self._doorbell = doorbell
        self._default_plan = default_plan
        self._every = every
        self._open: set[Hint] = set()
        self._told: set[Hint] = set()
        self._task: asyncio.Task[None] | None = None

    def hint(self, organization_id: UUID, quota: str, period_start: float, used: int, limit: int) -> None:
        """The limiter has counted `used` of `limit`. Cheap: called on requests that spend from a quota."""
        for share in THRESHOLDS:
            if used * 100 >= share * limit:
                hint = (organization_id, quota, period_start, share)
                if hint not in self._told and len(self._open) < MAX_HINTS:
                    self._open.add(hint)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._look_regularly(), name="usage thresholds")

    async def stop(self) -> None:
        await end(self._task)
        await self.look()

    async def look(self) -> None:
        """Tell what is due; hints that are not true yet stay, those of a period that is over go."""
        for organization_id in {hint[0] for hint in self._open}:
            try:
                known = await self.tell(organization_id)
            except (*FAILED, DBAPIError) as error:
                log.warning("usage thresholds are looked at later (%s)", type(error).__name__)
                return
            current = {(quota.name, quota.starts_at.timestamp()) for quota in known}
            mine = {hint for hint in self._open if hint[0] == organization_id}
            reached = {(quota.name, share) for quota in known for share in quota.reached}
            done = {hint for hint in mine if (hint[1], hint[3]) in reached}
            self._open -= done | {hint for hint in mine if (hint[1], hint[2]) not in current}
            if len(self._told) > MAX_HINTS:
                self._told.clear()
            self._told |= done

    async def tell(self, organization_id: UUID) -> list[Quota]:
        """Write the events that are due for one organization; returns its quotas."""
        async with self._database.tenant(organization_id) as session:
            limits = await limits_of(session, organization_id, self._default_plan)
            found = await quotas(session, limits, utcnow())
            told = [await _tell_one(session, organization_id, limits.plan, quota) for quota in found]
        if any(told):
            self._doorbell.ring(EVENTS)
        return found

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            if self._open:
                await self.look()


async def _tell_one(session: AsyncSession, organization_id: UUID, plan: str, quota: Quota) -> int:
    """How many events were written. Concurrent processes wait for each other at the primary key."""
    written = 0
    for share in quota.reached:
        if not await repository.claim_threshold(session, organization_id, quota.name, quota.starts_at, share):
            continue
        events.add(
            session,
            organization_id=organization_id,
            workspace_id=None,
            mode="live",
            event=EventType.USAGE_THRESHOLD_REACHED,
            resource_id=quota_id(organization_id, quota.name, quota.starts_at),
            sequence=THRESHOLDS.index(share) + 1,
            payload={
                "quota": quota.name,
                "unit": quota.unit,
                "threshold": share,
                "used": quota.used,
                "limit": quota.limit,
                "plan": plan,
                "starts_at": rfc3339(quota.starts_at),
                "resets_at": rfc3339(quota.resets_at),
            },
        )
        written += 1
    return written


def quota_id(organization_id: UUID, quota: str, starts_at: datetime) -> UUID:
    """The events of one quota in one period are a sequence of their own (RFC 9562 §5.5)."""
    return uuid.uuid5(_NAMESPACE, f"{organization_id}:{quota}:{starts_at.isoformat()}")
