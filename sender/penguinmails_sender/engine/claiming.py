"""Which queues are asked for mail, in what order and for how much; then the claim itself.

A queue that cannot bring anything is not asked: its lane is paused, at its rate or its connections, or nobody in it is
due. What the book believes is checked again by the claim, under the lock of the lane: limits hold over all processes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.emails.lanes import LaneKey, is_live, key_of, priority
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository as lanes
from penguinmails_core.sending import claim_repository
from penguinmails_core.sending.claim_repository import Portion
from penguinmails_sender.engine.announce import tell_finished
from penguinmails_sender.engine.rotation import Queue, Rotation
from penguinmails_sender.lanes.book import LaneBook
from penguinmails_sender.lanes.state import LaneState

FINISHED = frozenset({"suppressed", "expired"})
_CAMPAIGN = priority("live/campaign//")
_SHARE = 20  # looking at the queues may take a twentieth of the time
_CHEAP = 0.1  # seconds: looks that need not wait for the last one to be used up

Portions = list[tuple[Queue, int]]


class Claimer:
    """`size`: recipients in one transaction. `unconfirmed` holds the attempts of a claim while nobody knows whether it
    was committed."""

    def __init__(
        self, database: Database, book: LaneBook, worker: str, size: int, lease: timedelta, *, sort: bool
    ) -> None:
        self._database = database
        self._book = book
        self._worker = worker
        self._size = size
        self._lease = lease
        self._sort = sort
        self._rotation = Rotation()
        self._pending: list[list[Queue]] = []
        self._look_again = 0.0
        self.next_open: float | None = None  # seconds from the last look until a queue may bring something
        self.unconfirmed: list[UUID] = []

    async def next_part(self, full: Callable[[], bool]) -> Portions:
        """Equals whose turn it is, with so much for each that all of it fits into one transaction. Empty: nobody's."""
        while self._pending and not full():
            group = self._pending[0]
            part = [queue for queue in group[: self._size] if self._closed_for(queue, self._book.now()) <= 0]
            del group[: self._size]
            if not group:
                del self._pending[0]
            if part:
                return self._fit([(queue, share) for queue, share in zip(part, self._shares(len(part)), strict=True)])
        return []

    def _shares(self, count: int) -> list[int]:
        even, more = divmod(self._size, count)
        return [even + (number < more) for number in range(count)]

    async def look(self) -> None:
        """Read which queues there are. With ten thousand of them that is work, so what the last look found is used up
        first, unless it is old."""
        started = time.monotonic()
        if self._pending and started < self._look_again:
            return
        rows = await claim_repository.queues(self._database.worker)
        cost = time.monotonic() - started
        self._look_again = started + max(0.0, cost * _SHARE - _CHEAP)
        queues = [(Queue(row["lane"], row["organization_id"]), row["wait"]) for row in rows]
        live = [(queue.organization_id, key) for queue, _ in queues if (key := queue.lane) is not None]
        await self._book.know(live)
        now = self._book.now()
        due, waits = [], []
        for queue, wait in queues:
            closed = max(wait, self._closed_for(queue, now))
            if closed > 0:
                waits.append(closed)
            else:
                due.append(queue)
        self.next_open = min(waits, default=None)
        self._pending = self._rotation.order(due)

    def _closed_for(self, queue: Queue, now: datetime) -> float:
        """Seconds until it makes sense to ask."""
        key = queue.lane
        if key is None:
            return 0.0
        if self._book.held(queue.organization_id, key):
            return 3600.0
        if not self._book.room(key):
            return 0.05  # until something comes back
        return self._book.opens_in(key, now)

    def _fit(self, part: Portions) -> Portions:
        """As much as this process may take in hand of each lane."""
        return fit(part, {key: self._book.room(key) for queue, _ in part if (key := queue.lane) is not None})

    async def claim(self, part: Portions) -> list[Any]:
        """The claimed rows, attempts included. Raises what the database raises; then `unconfirmed` tells what may be
        committed all the same."""
        for queue, _ in part:
            self._rotation.served(queue)
        attempt_ids: list[UUID] = []
        try:
            async with self._database.worker.acquire() as connection, connection.transaction():
                locked = await self._lock(connection, part)
                part = self._grant(part, locked)
                if not part:
                    return []
                attempt_ids = [new_uuid() for _ in range(sum(most for _, most in part))]
                rows = await claim_repository.claim(
                    connection, self._portions(part), attempt_ids, self._worker, self._lease, sort=self._sort
                )
                await self._spend(connection, rows, locked)
                finished = [row for row in rows if row["verdict"] in FINISHED]
                if finished:
                    await tell_finished(connection, finished)
        except BaseException:
            # It may have committed all the same. Nothing of it is sent, so it can be taken back without a doubt.
            self.unconfirmed += attempt_ids
            raise
        for state in locked.values():
            self._book.put(state)
        return rows

    def _portions(self, part: Portions) -> list[Portion]:
        found = []
        for queue, most in part:
            key = queue.lane
            found.append(
                Portion(queue.name, queue.organization_id, most, None if key is None else self._book.state(key).id)
            )
        return found

    async def _lock(self, connection: Connection, part: Portions) -> dict[LaneKey, LaneState]:
        """Lanes whose mail is counted."""
        now = self._book.now()
        keys = {key for queue, _ in part if (key := queue.lane) is not None}
        ids = [state.id for key in keys if (state := self._book.state(key)).limited(self._book.policy(key), now)]
        if not ids:
            return {}
        rows = await lanes.lock(connection, ids)
        states = [LaneState.of(row) for row in rows]
        for row, state in zip(rows, states, strict=True):
            state.refill(self._book.policy(state.key), row["now"])
        return {state.key: state for state in states}

    def _grant(self, part: Portions, locked: dict[LaneKey, LaneState]) -> Portions:
        urgent = bool(part) and priority(part[0][0].name) < _CAMPAIGN
        grants = {
            key: state.grant(self._book.policy(key), state.tokens_at, self._size, urgent=urgent)
            for key, state in locked.items()
        }
        return fit(part, grants)

    async def _spend(self, connection: Connection, rows: Sequence[Any], locked: dict[LaneKey, LaneState]) -> None:
        if not locked:
            return
        used = Counter(key_of(row["lane"]) for row in rows if row["verdict"] == "sending" and is_live(row["lane"]))
        for key, state in locked.items():
            state.take(self._book.policy(key), state.tokens_at, used[key])
        await lanes.spend(
            connection,
            [(state.id, state.tokens, state.tokens_at, state.day, state.sent_today) for state in locked.values()],
        )


def fit(part: Portions, rooms: dict[LaneKey, int]) -> Portions:
    """Share out what a lane may take among its queues, evenly, the first ones first where it does not divide. A lane
    without a room has no limit."""
    members = Counter(key for queue, _ in part if (key := queue.lane) in rooms)
    left = dict(rooms)
    found: Portions = []
    for queue, most in part:
        key = queue.lane
        if key is not None and key in left:
            even = -(-rooms[key] // members[key])
            most = min(most, even, left[key])
            left[key] -= most
        if most > 0:
            found.append((queue, most))
    return found
