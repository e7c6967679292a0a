"""Replays: reads the log from where the caller asked, and makes due what the endpoint is to get once more.

Each step is one short transaction: a page of the log, the deliveries that come of it, and the new place of the replay,
so that a worker that dies repeats the step as a whole or not at all, and any number of workers may run it.

A replay stands back behind what happens now: only so much of it is due at a time as the endpoint takes between two
steps, and at least ten. The rest of an outage never lies before a fresh event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from penguinmails_core.events.cursor import in_sequence
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.doorbell import REPLAYS, WEBHOOKS, Doorbell
from penguinmails_core.webhook_endpoints.pace import Fifo
from penguinmails_webhooks import replay_repository as repository
from penguinmails_webhooks.events import matches
from penguinmails_webhooks.filtering import Filtering
from penguinmails_webhooks.replay_repository import Due

log = logging.getLogger(__name__)

_PAGE = 1000  # events of the log in one step
_JOBS = 100  # replays that are worked on in one round
_LEAST, _MOST = 10, 1000  # deliveries of one replay that are due at a time
_STEP = 0.1  # seconds between two steps of a replay
_POLL = 2.0  # seconds between looks that no bell has asked for
_RETRY = 5.0

# What is sent once more, by what became of it. None: there is no delivery.
_WANTED: dict[str | None, frozenset[str | None]] = {
    "missing": frozenset((None, "pending", "exhausted", "cancelled")),
    "failed": frozenset(("exhausted",)),
    "all": frozenset((None, "pending", "delivered", "exhausted", "cancelled")),
    None: frozenset((None, "pending", "delivered", "exhausted", "cancelled")),
}


@dataclass(slots=True)
class Counters:
    """Since the start of this process: what was made due."""

    created: int = 0
    resent: int = 0


class Replays:
    """`run` until cancelled, or `run_once` until there is nothing to do at the moment."""

    def __init__(self, database: Database, doorbell: Doorbell) -> None:
        self.counters = Counters()
        self._pool = database.worker
        self._doorbell = doorbell
        self._windows: dict[UUID, int] = {}
        self._filtering = Filtering()

    async def run(self) -> None:
        bell = self._doorbell.bell(REPLAYS)
        while True:
            bell.clear()
            try:
                busy = await self._round()
            except Exception as error:
                log.warning(
                    "replays: a round failed (%s)", type(error).__name__, exc_info=not isinstance(error, OSError)
                )
                await asyncio.sleep(_RETRY)
                continue
            if busy:
                await asyncio.sleep(_STEP)
                continue
            try:
                await asyncio.wait_for(bell.wait(), _POLL)
            except TimeoutError:
                continue

    async def run_once(self) -> None:
        """A step of every replay. Call it again when what it made due was sent."""
        await self._round()

    async def _round(self) -> bool:
        """A step of each replay that has not ended; whether there is any."""
        async with self._pool.acquire() as connection:
            jobs = await repository.active(connection, _JOBS)
        for organization_id, replay_id in jobs:
            async with self._pool.acquire() as connection, connection.transaction():
                due = await self._step(connection, organization_id, replay_id)
            if due:
                self._doorbell.ring(WEBHOOKS)
        for replay_id in self._windows.keys() - {replay_id for _, replay_id in jobs}:
            del self._windows[replay_id]
        return bool(jobs)

    async def _step(self, connection: Connection, organization_id: UUID, replay_id: UUID) -> int:
        """One page; returns how many deliveries are newly due."""
        replay = await repository.lock(connection, organization_id, replay_id)
        if replay is None:
            return 0
        endpoint = await repository.endpoint(connection, replay)
        if endpoint is None or endpoint["status"] != "enabled":
            reason = "endpoint_deleted" if endpoint is None else "endpoint_disabled"
            await repository.finish(connection, replay, "failed", reason)
            return 0
        if replay["status"] == "queued":
            total = 1 if replay["selection"] is None else await repository.total(connection, replay)
            await repository.start(connection, replay, total)
        room, idle = await self._room(connection, replay)
        if replay["scan_ended"]:
            if idle:
                await repository.finish(connection, replay, "completed")
            return 0
        return await self._advance(connection, replay, endpoint, room) if room > 0 else 0

    async def _room(self, connection: Connection, replay: Any) -> tuple[int, bool]:
        """(how many more may be due, whether none is). What the endpoint takes between two steps doubles the window,
        what it leaves halves it."""
        window = self._windows.get(replay["id"], _LEAST)
        waiting = await repository.outstanding(connection, replay, window)
        if waiting == 0 and replay["id"] in self._windows:
            window = min(window * 2, _MOST)
        elif waiting > window // 2:
            window = max(window // 2, _LEAST)
        self._windows[replay["id"]] = window
        return window - waiting, waiting == 0

    async def _advance(self, connection: Connection, replay: Any, endpoint: Any, room: int) -> int:
        single = replay["selection"] is None
        page = await (repository.one(connection, replay) if single else repository.page(connection, replay, _PAGE))
        asked = page if single else await self._asked(connection, replay, endpoint, page)
        states = await repository.states(connection, replay, asked) if asked else {}
        wanted = _WANTED[replay["selection"]]
        chosen = [event for event in asked if states.get(event["id"]) in wanted]
        rest, chosen = chosen[room:], in_sequence(chosen[:room])
        looked_at = page.index(rest[0]) if rest else len(page)
        due = [Due(event, len(chosen) - place) for place, event in enumerate(chosen)]
        there = [item for item in due if item.event["id"] in states]
        await repository.again(connection, replay, there)
        made = await self._make(connection, replay, endpoint, [item for item in due if item.event["id"] not in states])
        ended = single or (not rest and len(page) < _PAGE and replay["settled"])
        last = page[looked_at - 1] if looked_at else None
        await repository.move(
            connection, replay, scanned=looked_at, created=made, resent=len(there), last=last, ended=ended
        )
        self.counters.created += made
        self.counters.resent += len(there)
        return len(chosen)

    async def _asked(self, connection: Connection, replay: Any, endpoint: Any, page: Sequence[Any]) -> list[Any]:
        """Those of a page that the endpoint wants, its payload filter included, and the caller too."""
        subscribed = [(endpoint, event) for event in page if _subscribed(replay, endpoint, event)]
        return [event for _, event in await self._filtering.passing(connection, subscribed)]

    async def _make(self, connection: Connection, replay: Any, endpoint: Any, due: Sequence[Due]) -> int:
        """Deliveries that did not exist, at the end of the order if the endpoint keeps one."""
        if not due:
            return 0
        if endpoint["fifo"] is not None:
            first = await repository.take_positions(connection, replay, len(due))
            due = [_in_order(endpoint["fifo"], item, place) for place, item in enumerate(due, first)]
        return await repository.make(connection, replay, due)


def _in_order(fifo: str, due: Due, place: int) -> Due:
    key = _key_of(fifo, due.event)
    return due if key is None else replace(due, fifo_key=key, fifo_position=place)


def _subscribed(replay: Any, endpoint: Any, event: Any) -> bool:
    """Whether the endpoint wants events of this type, and the caller too. None is told of itself (as fan-out says)."""
    if replay["types"] is not None and not matches(replay["types"], event["type"]):
        return False
    if event["resource_id"] == endpoint["id"] and event["type"] != EventType.WEBHOOK_ENDPOINT_ENABLED:
        return False
    return matches(endpoint["events"], event["type"])


def _key_of(fifo: str, event: Any) -> str | None:
    """What an event is kept in order by (as fan-out says); None: by nothing."""
    match fifo:
        case Fifo.ENDPOINT:
            return "endpoint"
        case Fifo.RESOURCE:
            return str(event["resource_id"])
        case Fifo.EMAIL_ID | Fifo.CONTACT_ID:
            key: str | None = event[fifo]
            return key
    return None
