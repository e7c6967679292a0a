"""Counting requests: in memory, written every few seconds in one statement that adds.

A process that is killed loses what it counted since its last write, a few seconds; one that is stopped writes it. Sends
are not counted here but from the messages themselves, so quotas and bills never depend on it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, date, datetime
from uuid import UUID

from penguinmails_core.kit.db import FAILED, Pool
from penguinmails_core.kit.tasks import end
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.usage import repository

log = logging.getLogger(__name__)

FLUSH_EVERY = 5.0  # seconds
MAX_KEYS = 100_000  # beyond this a database that is away costs counts, not memory
_DAY = 86_400

_Key = tuple[UUID, int, str, str, UUID, str]


class UsageRecorder:
    """`await start()` before use, `await stop()` at the end."""

    def __init__(self, ingest: Pool, *, every: float = FLUSH_EVERY) -> None:
        self._pool = ingest
        self._every = every
        self._counts: dict[_Key, list[int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._lost = 0

    def add(self, principal: Principal, operation: str, cost: int, status: int) -> None:
        """Hot: one look-up in a dict."""
        kind, actor = actor_of(principal)
        key = (principal.organization_id, int(time.time()) // _DAY, principal.mode, kind, actor, operation)
        counts = self._counts.get(key)
        if counts is None:
            if len(self._counts) >= MAX_KEYS:
                self._lost += 1
                return
            counts = self._counts[key] = [0, 0, 0, 0]
        counts[0] += 1
        counts[1] += cost
        if status == 429:
            counts[2] += 1
        elif status >= 400:
            counts[3] += 1

    async def start(self) -> None:
        self._task = asyncio.create_task(self._flush_regularly(), name="usage")

    async def stop(self) -> None:
        await end(self._task)
        await self.flush()

    async def flush(self) -> None:
        """Write what was counted. What cannot be written is kept for the next time."""
        counts, self._counts = self._counts, {}
        rows: list[repository.CounterRow] = [
            (organization, _date(day), mode, kind, actor, operation, *numbers)  # type: ignore[misc]
            for (organization, day, mode, kind, actor, operation), numbers in counts.items()
        ]
        try:
            await repository.add_counters(self._pool, rows)
        except FAILED as error:
            log.warning("usage of %d callers is written later (%s)", len(rows), type(error).__name__)
            for key, numbers in counts.items():
                kept = self._counts.setdefault(key, [0, 0, 0, 0])
                for place, number in enumerate(numbers):
                    kept[place] += number
            return
        if self._lost:
            log.warning("usage: %d requests were not counted while the database was away", self._lost)
            self._lost = 0

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.flush()


def actor_of(principal: Principal) -> tuple[str, UUID]:
    """Whose usage it is: of the key, of the app that holds a token, or of the person of a session."""
    if principal.kind is PrincipalKind.OAUTH:
        return "oauth_app", principal.app_id or principal.id
    if principal.kind is PrincipalKind.SESSION:
        return "user", principal.user_id or principal.id
    return "api_key", principal.id


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * _DAY, UTC).date()
