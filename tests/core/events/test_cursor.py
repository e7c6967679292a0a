"""The event cursor: nothing lost, nothing twice, whatever the order of commits."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from penguinmails_core.events.cursor import EventCursor
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.ids import new_uuid

ORGANIZATION = new_uuid()
WRITERS, TRANSACTIONS, PER_TRANSACTION = 8, 40, 4

_INSERT = """
insert into events (organization_id, id, mode, type, resource_id, sequence, payload)
values ($1, $2, 'live', 'email.queued', $3, $4, '{}')"""


class RolledBack(Exception):
    pass


async def write(connection: Connection, *, resource: UUID | None = None, sequence: int = 1) -> UUID:
    event = new_uuid()
    await connection.execute(_INSERT, ORGANIZATION, event, resource or new_uuid(), sequence)
    return event


async def write_one(database: Database) -> UUID:
    async with database.worker.acquire() as connection, connection.transaction():
        return await write(connection)


async def drain(cursor: EventCursor, limit: int = 1000) -> list[Any]:
    found: list[Any] = []
    more = True
    while more:
        async with cursor.read(limit) as batch:
            found += batch.events
            more = batch.more
    return found


async def ids(cursor: EventCursor, limit: int = 1000) -> list[UUID]:
    return [row["id"] for row in await drain(cursor, limit)]


class Writer:
    """Commits in another order than it begins: some transactions are long, some are taken back."""

    def __init__(self, database_url: str, seed: int) -> None:
        self._url = database_url
        self._random = random.Random(seed)
        self.committed: list[UUID] = []

    async def run(self, connect: Any) -> None:
        connection = await connect(self._url)
        try:
            for _ in range(TRANSACTIONS):
                kind = self._random.choice(("short", "short", "short", "long", "rolled back"))
                written: list[UUID] = []
                try:
                    async with connection.transaction():
                        written += [await write(connection) for _ in range(PER_TRANSACTION)]
                        if kind != "short":
                            await asyncio.sleep(self._random.uniform(0.005, 0.05))
                        if kind == "rolled back":
                            raise RolledBack
                except RolledBack:
                    continue
                self.committed += written
                await asyncio.sleep(self._random.uniform(0, 0.004))
        finally:
            await connection.close()


class NaiveCursor:
    """What the snapshots are for: `id > last` in the order of ids, which are made when a transaction writes."""

    def __init__(self, database: Database) -> None:
        self._pool = database.worker
        self._last = UUID(int=0)

    async def read(self) -> list[UUID]:
        rows = await self._pool.fetch("select id from events where id > $1 order by id", self._last)
        if rows:
            self._last = rows[-1]["id"]
        return [row["id"] for row in rows]


async def test_concurrent_commits(database: Database, database_url: str) -> None:
    cursor = EventCursor(database.worker, "test", start="beginning")
    naive = NaiveCursor(database)
    seen: list[UUID] = []
    naively_seen: set[UUID] = set()
    writers = [Writer(database_url, seed) for seed in range(WRITERS)]
    writing = asyncio.gather(*(writer.run(asyncpg.connect) for writer in writers))
    pages = random.Random(99)
    while not writing.done():
        seen += await ids(cursor, limit=pages.choice((3, 17, 200)))
        naively_seen.update(await naive.read())
        await asyncio.sleep(0.002)
    await writing
    seen += await ids(cursor)
    naively_seen.update(await naive.read())

    committed = {event for writer in writers for event in writer.committed}
    assert committed
    assert set(seen) == committed
    assert [event for event, times in Counter(seen).items() if times > 1] == []
    # The same run proves that the trap was there: without it this test could not fail.
    assert committed - naively_seen


async def test_late_commit_is_read_after_a_later_event(database: Database) -> None:
    cursor = EventCursor(database.worker, "test", start="beginning")
    async with database.worker.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        late = await write(slow)
        early = await write_one(database)
        assert await ids(cursor) == [early]
        await transaction.commit()
    assert await ids(cursor) == [late]
    assert await ids(cursor) == []


async def test_starts_now_or_at_the_beginning(database: Database) -> None:
    before = await write_one(database)
    now, beginning = EventCursor(database.worker, "now"), EventCursor(database.worker, "all", start="beginning")
    await now.register()
    await beginning.register()
    after = await write_one(database)
    assert await ids(now) == [after]
    assert await ids(beginning) == [before, after]


async def test_starting_now_does_not_miss_a_transaction_that_was_open(database: Database) -> None:
    cursor = EventCursor(database.worker, "test")
    async with database.worker.acquire() as slow, slow.transaction():
        open_one = await write(slow)
        await cursor.register()
    assert await ids(cursor) == [open_one]


async def test_a_failed_round_is_read_again(database: Database) -> None:
    cursor = EventCursor(database.worker, "test", start="beginning")
    written = [await write_one(database) for _ in range(5)]
    await cursor.register()

    async def fail() -> None:
        async with cursor.read(2) as batch:
            assert [row["id"] for row in batch.events] == written[:2]
            raise RolledBack

    with pytest.raises(RolledBack):
        await fail()
    assert await ids(cursor, limit=2) == written


async def test_resumes_inside_a_round(database: Database) -> None:
    written = [await write_one(database) for _ in range(5)]
    first = EventCursor(database.worker, "test", start="beginning")
    await first.register()
    async with first.read(2) as batch:
        assert [row["id"] for row in batch.events] == written[:2]
        assert batch.more
    written.append(await write_one(database))
    second = EventCursor(database.worker, "test")  # as after a restart: the place comes from the database
    assert await ids(second, limit=2) == written[2:]


async def test_what_the_consumer_writes_in_its_round_is_read_in_the_next(database: Database) -> None:
    cursor = EventCursor(database.worker, "test", start="beginning")
    await write_one(database)
    await cursor.register()
    async with cursor.read() as batch:
        # With an id its transaction could count as visible in its own snapshot, and what it writes as read.
        assert await batch.connection.fetchval("select pg_current_xact_id_if_assigned()") is None
        written = await write(batch.connection)
        await write_one(database)
    assert written in await ids(cursor)


async def test_transaction_ids_are_numbers_not_text(database: Database) -> None:
    """9 comes before 10: pages in the order of texts would skip rows."""
    for xid in (9, 10, 99, 100, 700):
        await database.worker.execute(
            "insert into events (organization_id, id, mode, type, resource_id, sequence, payload, xid) "
            "values ($1, $2, 'live', 'email.queued', $2, 1, '{}', $3::text::xid8)",
            ORGANIZATION,
            new_uuid(),
            str(xid),
        )
    cursor = EventCursor(database.worker, "test", start="beginning")
    assert [row["page_xid"] for row in await drain(cursor, limit=1)] == ["9", "10", "99", "100", "700"]


async def test_one_reader_at_a_time(database: Database) -> None:
    cursor = EventCursor(database.worker, "test", start="beginning")
    other = EventCursor(database.worker, "other", start="beginning")
    event = await write_one(database)
    await cursor.register()
    await other.register()
    async with cursor.read() as batch:
        assert [row["id"] for row in batch.events] == [event]
        async with EventCursor(database.worker, "test").read() as second:
            assert second.locked_out
            assert not second.events
        async with other.read() as independent:
            assert [row["id"] for row in independent.events] == [event]
    assert await ids(cursor) == []


async def test_events_of_one_resource_come_in_sequence(database: Database) -> None:
    """The transaction that began first writes the later event of a resource."""
    resource = new_uuid()
    cursor = EventCursor(database.worker, "test", start="beginning")
    async with database.worker.acquire() as older, older.transaction():
        other = await write(older)
        async with database.worker.acquire() as newer, newer.transaction():
            first = await write(newer, resource=resource, sequence=1)
        second = await write(older, resource=resource, sequence=2)
    found = await drain(cursor)
    assert [row["id"] for row in found if row["resource_id"] == resource] == [first, second]
    assert {row["id"] for row in found} == {other, first, second}


async def test_an_idle_consumer_writes_nothing(database: Database) -> None:
    cursor = EventCursor(database.worker, "test", start="beginning")
    await write_one(database)
    await drain(cursor)
    state = "select old::text, xmin::text from consumer_cursors"
    before = await database.worker.fetchrow(state)
    await drain(cursor)
    assert await database.worker.fetchrow(state) == before


async def test_payloads_on_request(database: Database) -> None:
    await write_one(database)
    [row] = await drain(EventCursor(database.worker, "test", start="beginning", payloads=True))
    assert row["payload"] == {}
    assert row["schema_version"] == 1
