"""Read the event log in the order of commits: every event once, however late its transaction commits.

The cursor is a pair of snapshots. A look reads the rows that the old one could not see and the new one can. A number
that only grows (an id, a time) would skip the rows of transactions that began earlier and committed later.

Reading, whatever the consumer writes, and the new position are one transaction: a crash repeats the whole round or
nothing of it. Positions are meaningless on another server: after a dump and restore register the consumer anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from penguinmails_core.events import cursor_repository as repository
from penguinmails_core.events.cursor_repository import Position, State
from penguinmails_core.kit.db import Connection, Pool


@dataclass(frozen=True, slots=True)
class Batch:
    """`events`: rows with organization_id, id, created_at, workspace_id, mode, type, resource_id, sequence (and
    schema_version, payload when asked for); those of one resource in their sequence. `connection`: in the transaction
    of the round. `more`: look again at once. `locked_out`: another process reads; nothing was read."""

    connection: Connection
    events: Sequence[Any]
    more: bool = False
    locked_out: bool = False


class EventCursor:
    """The place of one consumer in the log. Any number of processes may hold one; they take turns.

    `start`: where a consumer that was never registered begins. `payloads`: also read what the events carry.
    """

    def __init__(
        self,
        pool: Pool,
        consumer: str,
        *,
        start: Literal["now", "beginning"] = "now",
        payloads: bool = False,
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._start = start
        self._payloads = payloads

    async def register(self) -> None:
        """Makes the cursor unless there is one; `read` does so itself."""
        async with self._pool.acquire() as connection:
            await repository.register(connection, self._consumer, self._start)

    @asynccontextmanager
    async def read(self, limit: int = 1000) -> AsyncIterator[Batch]:
        """One page of at most `limit` events inside a transaction, which commits when the block ends and takes
        everything back, the position too, when it raises."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await repository.lock(connection, self._consumer):
                yield Batch(connection, (), locked_out=True)
                return
            state = await repository.load(connection, self._consumer)
            if state is None:
                await repository.register(connection, self._consumer, self._start)
                yield Batch(connection, (), more=True)
                return
            position, resumed = state.position, state.position.new is not None
            if not resumed:
                position = replace(position, new=state.current)
            rows = await repository.read(connection, position, limit, self._payloads)
            # A round that began in an earlier transaction does not know of what was committed since.
            yield Batch(connection, in_sequence(rows), more=resumed or len(rows) == limit)
            await self._save(connection, state, position, rows, limit)

    async def _save(
        self, connection: Connection, state: State, position: Position, rows: Sequence[Any], limit: int
    ) -> None:
        if len(rows) == limit:
            last = rows[-1]
            await repository.save(
                connection, self._consumer, replace(position, page_xid=last["page_xid"], page_id=last["id"])
            )
        elif rows or state.position.new is not None or state.stale:
            assert position.new is not None
            await repository.save(connection, self._consumer, Position(position.new))
        # Else nothing was there: the old position finds the same, and an idle consumer writes nothing.


def in_sequence(rows: Sequence[Any]) -> list[Any]:
    """Rows come in the order of transaction ids; those of one resource are put into their sequence, in the places
    that they have together."""
    places: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        places.setdefault(row["resource_id"], []).append(index)
    ordered = list(rows)
    for indexes in places.values():
        if len(indexes) > 1:
            group = sorted((rows[index] for index in indexes), key=lambda row: row["sequence"])
            for index, row in zip(indexes, group, strict=True):
                ordered[index] = row
    return ordered
