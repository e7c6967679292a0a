"""Following the event log: one reader for each organization that somebody listens to, however many listen.

A reader keeps the newest events in a bounded buffer and wakes its listeners. A listener holds nothing but its place in
the log: one that is slow, or that comes from far back, reads pages of its own until it is where the buffer begins. The
order and the safety are those of `GET /v1/events`: only what lies before the oldest open transaction is read. No
connection is held between looks.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.events import repository
from penguinmails_core.events.repository import EventFilter, EventRow, Position
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import EVENTS, KEYS, TOKENS, Doorbell
from penguinmails_core.kit.tasks import end
from penguinmails_core.principal import Principal

log = logging.getLogger(__name__)

POLL = 1.0  # seconds between looks that no bell has asked for
_FIRST_LOOK, _GAP = 0.02, 0.02  # seconds
_KEEP = 1000  # events in the buffer of an organization
_KEEP_BYTES = 4 * 1024 * 1024
_PAGE = 200
_SETTLE = 0.1  # seconds in which caches of credentials forget after their bell

Render = Callable[[EventRow], bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it is sent, and what decides who gets it."""

    position: Position
    mode: str
    workspace_id: UUID | None
    type: str
    resource_id: UUID
    body: bytes

    def wanted_by(self, principal: Principal, wanted: EventFilter) -> bool:
        """As the statement of `events.repository` decides."""
        return (
            self.mode == principal.mode
            and principal.workspace_id in (None, self.workspace_id)
            and wanted.wants(self.type, self.resource_id)
        )


class Channel:
    """The events of one organization since somebody began to listen."""

    def __init__(self, database: Database, organization_id: UUID, render: Render) -> None:
        self.organization_id = organization_id
        self.listeners = 0
        self.task: asyncio.Task[None] | None = None
        self.rung = asyncio.Event()
        self._database = database
        self._render = render
        self._changed = asyncio.Event()
        self._entries: list[Entry] = []
        self._bytes = 0
        self._start: Position | None = None  # everything between it and `_end` is in the buffer
        self._end: Position | None = None

    @property
    def changed(self) -> asyncio.Event:
        """Set at the next change. Take it before looking, so that nothing happens in between."""
        return self._changed

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def since(self, place: Position, limit: int) -> Sequence[Entry] | None:
        """What the buffer holds after a place; None when it does not reach back so far."""
        if self._start is None or place < self._start:
            return None
        first = bisect_right(self._entries, place, key=lambda entry: entry.position)
        return self._entries[first : first + limit]

    async def run(self) -> None:
        """Until cancelled. After a bell it looks again soon: the event may lie behind a transaction that is open."""
        pause = POLL
        while True:
            self.rung.clear()
            try:
                more = await self._read()
            except Exception as error:
                log.warning("event streams: the log cannot be read (%s)", type(error).__name__)
                await asyncio.sleep(POLL)
                continue
            if more:
                continue
            try:
                await asyncio.wait_for(self.rung.wait(), pause)
            except TimeoutError:
                pause = min(pause * 2, POLL)
            else:
                pause = _FIRST_LOOK
                await asyncio.sleep(_GAP)  # a rush of bells is one look

    async def _read(self) -> bool:
        """One page; True when there is more."""
        async with self._database.tenant(self.organization_id) as session:
            until = await repository.horizon(session)
            if self._end is None:
                self._start = self._end = Position.before(until)
                rows: list[EventRow] = []
            else:
                rows = await repository.read_log(session, self.organization_id, self._end, until, _PAGE)
        if rows:
            self._keep(rows)
        self._end = Position.of(rows[-1]) if len(rows) == _PAGE else max(self._end, Position.before(until))
        if rows:
            self.wake()
        return len(rows) == _PAGE

    def _keep(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            body = self._render(row)
            self._bytes += len(body)
            self._entries.append(
                Entry(Position.of(row), row["mode"], row["workspace_id"], row["type"], row["resource_id"], body)
            )
        drop = 0
        while len(self._entries) - drop > _KEEP or (self._bytes > _KEEP_BYTES and drop < len(self._entries) - 1):
            self._bytes -= len(self._entries[drop].body)
            drop += 1
        if drop:
            self._start = self._entries[drop - 1].position
            del self._entries[:drop]


class EventStreams:
    """The channels of a process. `generation` grows when a credential may have changed: whoever streams looks again
    whether it may. `closing`: streams end themselves."""

    def __init__(self, database: Database, doorbell: Doorbell, render: Render) -> None:
        self._database = database
        self._doorbell = doorbell
        self._render = render
        self._channels: dict[UUID, Channel] = {}
        self._holders: dict[UUID, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.open = 0
        self.generation = 0
        self.closing = False

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._ring_events(), name="event streams"),
            asyncio.create_task(self._ring_keys(), name="event streams: keys"),
        ]

    def close(self) -> None:
        """Every stream ends at its next turn, which is now."""
        self.closing = True
        for channel in self._channels.values():
            channel.wake()

    async def stop(self) -> None:
        self.close()
        await end(*self._tasks, *(channel.task for channel in self._channels.values()))
        self._tasks = []

    def held_by(self, holder: UUID) -> int:
        return self._holders.get(holder, 0)

    @contextmanager
    def listen(self, organization_id: UUID, holder: UUID) -> Iterator[Channel]:
        """The channel of an organization; the first listener starts its reader, the last one ends it."""
        channel = self._channels.get(organization_id)
        if channel is None:
            channel = self._channels[organization_id] = Channel(self._database, organization_id, self._render)
            channel.task = asyncio.create_task(channel.run(), name="event stream reader")
        channel.listeners += 1
        self.open += 1
        self._holders[holder] = self.held_by(holder) + 1
        try:
            yield channel
        finally:
            self.open -= 1
            self._holders[holder] -= 1
            if not self._holders[holder]:
                del self._holders[holder]
            channel.listeners -= 1
            if not channel.listeners:
                del self._channels[organization_id]
                if channel.task is not None:
                    channel.task.cancel()

    async def _ring_events(self) -> None:
        bell = self._doorbell.bell(EVENTS)
        while True:
            await bell.wait()
            bell.clear()
            for channel in self._channels.values():
                channel.rung.set()

    async def _ring_keys(self) -> None:
        bell = self._doorbell.bell(KEYS, TOKENS)
        while True:
            await bell.wait()
            bell.clear()
            await asyncio.sleep(_SETTLE)
            self.generation += 1
            for channel in list(self._channels.values()):
                channel.wake()
