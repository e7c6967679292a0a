"""Hits on their way into the database: noted in memory, written in bulk every second.

A reader who follows a link never waits for this. A process that is killed loses the hits of its last second; when the
database is away they wait, up to a bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import FAILED, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.kit.tasks import end
from penguinmails_core.tracking import repository
from penguinmails_core.tracking.links import Target

log = logging.getLogger(__name__)

FLUSH_EVERY = 1.0  # seconds
MAX_USER_AGENT = 300
_BUFFER = 20_000
_BATCH = 1000
_OF_ONE = 50  # hits of one recipient in one write; more is a loop, and says nothing new


class Noted(NamedTuple):
    """A row of `tracking_hits`, in the order of `repository.write_hits`."""

    organization_id: UUID
    id: UUID
    recipient_id: UUID
    kind: str
    link: int | None
    at: datetime
    method: str
    user_agent: str | None
    prefetch: bool


class HitLog:
    """`await start()` before use, `await stop()` at the end: it writes what is left."""

    def __init__(self, worker: Pool) -> None:
        self._pool = worker
        self._waiting: deque[Noted] = deque(maxlen=_BUFFER)
        self._task: asyncio.Task[None] | None = None

    def add(self, target: Target, method: str, user_agent: str, *, prefetch: bool) -> None:
        """Hot: one append. Of what the client says of itself, what text can hold."""
        agent = user_agent.replace("\0", "\ufffd")[:MAX_USER_AGENT] or None
        kind = "open" if target.link is None else "click"
        row = (target.organization_id, new_uuid(), target.recipient_id, kind, target.link, utcnow())
        self._waiting.append(Noted(*row, method[:10], agent, prefetch))

    async def start(self) -> None:
        self._task = asyncio.create_task(self._flush_regularly(), name="tracking hits")

    async def stop(self) -> None:
        await end(self._task)
        await self.flush()

    async def flush(self) -> None:
        """Write what is noted; what cannot be written waits for the next time."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            counts: Counter[UUID] = Counter()
            kept = []
            for noted in batch:
                counts[noted.recipient_id] += 1
                if counts[noted.recipient_id] <= _OF_ONE:
                    kept.append(noted)
            try:
                await repository.write_hits(self._pool, list(zip(*kept, strict=True)))
            except FAILED as error:
                log.warning("tracking: %d hits are written later (%s)", len(kept), type(error).__name__)
                self._waiting.extendleft(reversed(kept))
                return

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("tracking: a flush failed")
