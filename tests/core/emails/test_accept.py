"""Group commit on a real PostgreSQL: durability, verdicts, isolation of bad rows, crashes."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from penguinmails_core.emails.accept import Acceptor, MessageRows
from penguinmails_core.emails.accept_sql import TYPES
from penguinmails_core.errors import Internal, Unavailable
from penguinmails_core.kit.db import Database
from penguinmails_core.principal import Principal
from tests.fixtures.mail import InRow, draft, principal, request_of

TABLES = ("email_messages", "email_recipients", "events", "content.email_content")


async def counts(database: Database, tables: tuple[str, ...] = TABLES) -> list[int]:
    return [await database.worker.fetchval(f"select count(*) from {table}") for table in tables]


def rows(caller: Principal, **fields: Any) -> list[MessageRows]:
    return [draft(caller, **fields).rows]


@pytest.fixture
def acceptor(database: Database) -> Acceptor:
    return Acceptor(database.ingest, InRow())


async def test_one_message_fills_every_table(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    made = draft(caller, to=["a@example.com", "b@example.com"], html="<p>x</p>", tags=['q"t', "ü"], metadata={"k": "v"})
    verdict = await acceptor.accept(request_of(caller, [made.rows]))
    assert verdict.fresh
    assert await counts(database) == [1, 2, 2, 1]
    row = await database.worker.fetchrow("select * from email_messages")
    assert (row["id"], row["organization_id"]) == (made.id, caller.organization_id)
    assert row["tags"] == ['q"t', "ü"]
    assert row["metadata"] == {"k": "v"}
    recipients = await database.worker.fetch("select * from email_recipients order by position")
    assert [(r["status"], r["event_sequence"], r["due_at"] is not None) for r in recipients] == [
        ("queued", 1, True)
    ] * 2
    events = await database.worker.fetch("select * from events")
    assert {e["resource_id"] for e in events} == {r["id"] for r in recipients}
    assert {e["sequence"] for e in events} == {1}


async def test_concurrent_requests_share_commits(database: Database, acceptor: Acceptor) -> None:
    callers = [principal() for _ in range(5)]
    requests = [request_of(callers[i % 5], rows(callers[i % 5], text=f"message {i}")) for i in range(300)]
    verdicts = await asyncio.gather(*[acceptor.accept(request) for request in requests])
    assert all(verdict.fresh for verdict in verdicts)
    assert await counts(database) == [300, 300, 300, 300]
    assert acceptor.counters.messages == 300
    assert acceptor.counters.batches < 30, "300 requests in one turn of the loop need a handful of commits"


async def test_a_replay_gets_the_first_answer_and_writes_nothing(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    first = await acceptor.accept(request_of(caller, rows(caller), "k", answer=b"first"))
    again = await acceptor.accept(request_of(caller, rows(caller), "k", answer=b"second"))
    assert first.fresh
    assert (again.fresh, again.same, again.status, again.response) == (False, True, 202, b"first")
    assert await counts(database) == [1, 1, 1, 1]


async def test_another_request_with_the_key_is_told_so(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    await acceptor.accept(request_of(caller, rows(caller), "k", b"one"))
    verdict = await acceptor.accept(request_of(caller, rows(caller), "k", b"two"))
    assert (verdict.fresh, verdict.same) == (False, False)
    assert await counts(database) == [1, 1, 1, 1]


async def test_another_principal_never_sees_the_answer(database: Database, acceptor: Acceptor) -> None:
    mine = principal()
    theirs = principal(organization_id=mine.organization_id)
    await acceptor.accept(request_of(mine, rows(mine), "k", answer=b"secret"))
    verdict = await acceptor.accept(request_of(theirs, rows(theirs), "k"))
    assert verdict.fresh
    assert verdict.response is None
    assert await counts(database) == [2, 2, 2, 2]


async def test_two_processes_race_for_one_key(database: Database) -> None:
    caller = principal()
    acceptors = [Acceptor(database.ingest, InRow()), Acceptor(database.ingest, InRow())]
    verdicts = await asyncio.gather(
        *[a.accept(request_of(caller, rows(caller), f"k{i}")) for i in range(20) for a in acceptors]
    )
    assert sum(verdict.fresh for verdict in verdicts) == 20
    assert all(verdict.same for verdict in verdicts)
    assert await counts(database) == [20, 20, 20, 20]


async def test_in_flight_keys_are_known(acceptor: Acceptor) -> None:
    caller, other = principal(), principal()
    assert acceptor.claim_key(caller.id, "k")
    assert not acceptor.claim_key(caller.id, "k")
    assert acceptor.claim_key(other.id, "k")
    acceptor.release_key(caller.id, "k")
    assert acceptor.claim_key(caller.id, "k")


async def test_one_bad_row_fails_alone(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    good = [request_of(caller, rows(caller, text=f"{i}"), f"k{i}") for i in range(20)]
    poisoned = draft(caller).rows
    poisoned.message = (*poisoned.message[:4], "not a mode", *poisoned.message[5:])
    nul = draft(caller).rows
    nul.message = (*nul.message[:10], "subject\0", *nul.message[11:])
    bad = [request_of(caller, [poisoned], "bad"), request_of(caller, [nul])]
    results = await asyncio.gather(
        *[acceptor.accept(request) for request in (*good[:10], *bad, *good[10:])], return_exceptions=True
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [Internal, Internal]
    assert await counts(database) == [20, 20, 20, 20]
    assert await database.worker.fetchval("select count(*) from idempotency_keys") == 20
    assert acceptor.counters.bisected > 0


async def test_a_batch_is_accepted_whole_or_not_at_all(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    many = [draft(caller, text=f"{i}").rows for i in range(50)]
    many[30].message = (*many[30].message[:5], "no class", *many[30].message[6:])
    with pytest.raises(Internal):
        await acceptor.accept(request_of(caller, many, "batch"))
    assert await counts(database) == [0, 0, 0, 0]
    assert await database.worker.fetchval("select count(*) from idempotency_keys") == 0
    many[30] = draft(caller).rows
    assert (await acceptor.accept(request_of(caller, many, "batch"))).fresh
    assert await counts(database) == [50, 50, 50, 50]


async def test_equal_bodies_are_kept_once_per_organization(database: Database, acceptor: Acceptor) -> None:
    mine, theirs = principal(), principal()
    for caller in (mine, mine, theirs):
        await acceptor.accept(request_of(caller, rows(caller, text="the same template " * 50)))
    blobs = await database.worker.fetch(
        "select organization_id, storage_key, encoding, stored_size, size from content.blobs"
    )
    assert {blob["organization_id"] for blob in blobs} == {mine.organization_id, theirs.organization_id}
    assert len(blobs) == 2
    assert all(blob["encoding"] == "zstd" and blob["stored_size"] < blob["size"] for blob in blobs)
    assert len({blob["storage_key"] for blob in blobs}) == 2
    refs = await database.worker.fetchval(
        "select refs from content.blob_references where organization_id = $1", mine.organization_id
    )
    assert refs == 2


async def test_overlapping_batches_do_not_deadlock(database: Database) -> None:
    callers = [principal() for _ in range(3)]
    acceptors = [Acceptor(database.ingest, InRow()) for _ in range(2)]
    work = [
        a.accept(request_of(c, rows(c, text=f"shared {(i * k) % 7}"), f"k{i}-{k}"))
        for a, k in zip(acceptors, (3, 5), strict=True)
        for i in range(100)
        for c in callers
    ]
    assert all(verdict.fresh for verdict in await asyncio.gather(*work))


async def test_a_caller_that_leaves_does_not_take_its_message_back(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    task = asyncio.create_task(acceptor.accept(request_of(caller, rows(caller))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await acceptor.drain()
    assert await counts(database) == [1, 1, 1, 1]


async def test_a_lost_database_is_said_and_stores_nothing(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    await acceptor.accept(request_of(caller, rows(caller)))
    holder = await asyncpg.connect(database.dsn)
    try:
        await holder.execute("begin; lock table email_messages in exclusive mode")
        waiting = asyncio.create_task(acceptor.accept(request_of(caller, rows(caller), "k")))
        while not (
            pids := await holder.fetch(
                "select pid from pg_stat_activity where application_name like '%ingest%' and wait_event_type = 'Lock'"
            )
        ):
            await asyncio.sleep(0.01)
        for row in pids:
            await holder.execute("select pg_terminate_backend($1)", row["pid"])
        with pytest.raises(Unavailable, match="Idempotency-Key"):
            await waiting
    finally:
        await holder.execute("rollback")
        await holder.close()
    assert await counts(database) == [1, 1, 1, 1]
    assert (await acceptor.accept(request_of(caller, rows(caller), "k"))).fresh, "the same key works afterwards"


async def test_a_stored_blob_is_touched_so_that_the_collector_leaves_it(database: Database, acceptor: Acceptor) -> None:
    caller = principal()
    await acceptor.accept(request_of(caller, rows(caller, text="x" * 300)))
    await database.worker.execute("update content.blobs set touched_at = now() - interval '2 days'")
    await acceptor.accept(request_of(caller, rows(caller, text="x" * 300)))
    assert await database.worker.fetchval("select touched_at > now() - interval '1 minute' from content.blobs")


async def test_a_sink_that_fails_stops_the_accept(database: Database) -> None:
    class Broken(InRow):
        async def store(self, rows: Any) -> None:
            raise Unavailable("the store is away")

    caller = principal()
    with pytest.raises(Unavailable, match="away"):
        await Acceptor(database.ingest, Broken()).accept(request_of(caller, rows(caller)))
    assert await counts(database) == [0, 0, 0, 0]


async def test_the_types_of_the_database_are_those_of_the_statement(database: Database) -> None:
    """The migration spells them out; a column that differs would shift every value after it."""
    for name, rows_of_type in TYPES.items():
        found = await database.worker.fetch(
            "select attname, format_type(atttypid, null) as kind from pg_attribute "
            "where attrelid = $1::regclass and attnum > 0 order by attnum",
            name,
        )
        spelled = {"int": "integer", "timestamptz": "timestamp with time zone"}
        expected = [(column, spelled.get(kind, kind)) for column, kind in rows_of_type]
        assert [(row["attname"], row["kind"]) for row in found] == expected, name
