"""Housekeeping: partitions come in time and go in time, nothing that is still owed is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import asyncpg
import pytest

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Connection, Database, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.maintenance import repository
from penguinmails_core.maintenance.service import DAYS_AHEAD, KEEP_EVENTS, KEEP_SUPPRESSIONS, Maintenance
from penguinmails_core.register import APP_ROLE, INGEST_ROLE, WORKER_ROLE
from penguinmails_core.suppressions import repository as suppressions
from tests.fixtures.factories import Recipient, make_email, make_event, make_tenant

LONG_AGO = KEEP_EVENTS + timedelta(days=3)
Work = Callable[[Pool], Awaitable[None]]


def partition_name(day: date) -> str:
    return f"events_{day:%Y%m%d}"


async def partitions(connection: Connection) -> set[str]:
    return {
        row[0]
        for row in await connection.fetch(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
            "where i.inhparent = 'events'::regclass and c.relname <> 'events_default'"
        )
    }


async def add_partition(owner: Connection, day: date) -> str:
    name = partition_name(day)
    await owner.execute(
        f"create table if not exists {name} partition of events "
        f"for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00')"
    )
    return name


async def drop_newest(owner: Connection) -> str:
    name = max(await partitions(owner))
    await owner.execute(f"drop table {name}")
    return name


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    """The database's owner; leaves the partitions as it found them."""
    connection = await asyncpg.connect(database.dsn)
    before = await partitions(connection)
    try:
        yield connection
    finally:
        await connection.execute("delete from events")
        for name in await partitions(connection) - before:
            await connection.execute(f"drop table {name}")
        await connection.execute("select ensure_event_partitions($1)", DAYS_AHEAD)
        await connection.close()


async def test_partitions_are_made_ahead_and_only_once(database: Database, owner: Connection) -> None:
    for _ in range(3):
        await drop_newest(owner)
    assert await repository.ensure_partitions(database.worker, DAYS_AHEAD) == 3
    assert await repository.ensure_partitions(database.worker, DAYS_AHEAD) == 0
    today = utcnow().date()
    assert await partitions(owner) >= {partition_name(today + timedelta(days=n)) for n in range(-1, DAYS_AHEAD + 1)}


async def test_a_new_partition_shows_nothing_to_those_who_ask_it_directly(
    database: Database, owner: Connection
) -> None:
    name = await drop_newest(owner)
    await repository.ensure_partitions(database.worker, DAYS_AHEAD)
    row = await owner.fetchrow("select relrowsecurity, relforcerowsecurity from pg_class where relname = $1", name)
    assert tuple(row) == (True, True)
    async with database.worker.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"select count(*) from {name}")


async def test_partitions_go_when_all_of_them_is_too_old(database: Database, owner: Connection) -> None:
    today = utcnow().date()
    old = [await add_partition(owner, today - LONG_AGO - timedelta(days=n)) for n in range(2)]
    kept = await add_partition(owner, today - KEEP_EVENTS)
    assert await repository.drop_partitions(database.worker, KEEP_EVENTS) == 2
    left = await partitions(owner)
    assert not left & set(old)
    assert {kept, partition_name(today)} <= left


@pytest.mark.parametrize("role", [APP_ROLE, INGEST_ROLE])
async def test_only_the_worker_may_make_and_drop_them(owner: Connection, role: str) -> None:
    """They run as the owner: a tenant's connection could otherwise drop everybody's events."""
    for call in ("drop_event_partitions('0 days')", f"ensure_event_partitions({DAYS_AHEAD})"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(f"begin; set local role {role}; select {call}")
        await owner.execute("rollback")


async def test_two_rounds_at_once_do_not_disturb_each_other(database: Database, owner: Connection) -> None:
    for n in range(5):
        await add_partition(owner, utcnow().date() - LONG_AGO - timedelta(days=n))
    for _ in range(5):
        await drop_newest(owner)
    await asyncio.gather(*[drop(database.worker) for _ in range(4)], *[ensure(database.worker) for _ in range(4)])
    await asyncio.gather(*[Maintenance(database).run_once() for _ in range(4)])
    expected = {partition_name(utcnow().date() + timedelta(days=n)) for n in range(-1, DAYS_AHEAD + 1)}
    assert await partitions(owner) >= expected
    assert not {name for name in await partitions(owner) if name < partition_name(utcnow().date() - LONG_AGO)}


async def test_a_day_whose_events_were_early_holds_up_no_other(database: Database, owner: Connection) -> None:
    """Events of a day without a partition wait in the default one; that day cannot have one any more, others can."""
    tenant = await make_tenant(database)
    days = [utcnow().date() + timedelta(days=n) for n in (DAYS_AHEAD - 1, DAYS_AHEAD)]
    for _ in days:
        await drop_newest(owner)
    event_id = await make_event(database.worker, tenant.id, None, new_uuid(), {})
    at = datetime.combine(days[0], time(12), UTC)
    await owner.execute("update events set created_at = $2 where id = $1", event_id, at)
    assert await repository.ensure_partitions(database.worker, DAYS_AHEAD) == 1
    assert partition_name(days[1]) in await partitions(owner)
    assert await owner.fetchval("select count(*) from events where id = $1", event_id) == 1


async def test_old_events_without_a_partition_go_too(database: Database, owner: Connection) -> None:
    tenant = await make_tenant(database)
    old, new = [await make_event(database.worker, tenant.id, None, new_uuid(), {}) for _ in range(2)]
    await owner.execute("update events set created_at = now() - $2::interval where id = $1", old, LONG_AGO)
    await repository.drop_partitions(database.worker, KEEP_EVENTS)
    assert [row["id"] for row in await owner.fetch("select id from events where id = any($1)", [old, new])] == [new]


async def ensure(pool: Pool) -> None:
    await repository.ensure_partitions(pool, DAYS_AHEAD)


async def drop(pool: Pool) -> None:
    await repository.drop_partitions(pool, KEEP_EVENTS)


@pytest.mark.parametrize("work", [ensure, drop])
async def test_a_long_transaction_is_not_waited_for(database: Database, owner: Connection, work: Work) -> None:
    """While it waits for its lock every event of everybody would wait behind it; an hour later is soon enough."""
    if work is ensure:
        await drop_newest(owner)
    else:
        await add_partition(owner, utcnow().date() - LONG_AGO)
    before = await partitions(owner)
    reader = await asyncpg.connect(database.dsn)
    try:
        async with reader.transaction():
            await reader.execute("lock table events in access share mode")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await work(database.worker)
        assert await partitions(owner) == before
    finally:
        await reader.close()
    await Maintenance(database).run_once()
    assert await partitions(owner) != before


async def test_a_round_does_all_of_it_and_may_be_repeated(database: Database, owner: Connection) -> None:
    tenant = await make_tenant(database)
    gone = await add_partition(owner, utcnow().date() - LONG_AGO)
    new = await drop_newest(owner)
    for hours in (1, 25):
        await database.worker.execute(
            "insert into idempotency_keys (organization_id, principal_id, key, fingerprint, token, created_at) "
            "values ($1, $2, $3, $4, $2, now() - make_interval(hours => $5))",
            tenant.id,
            tenant.live_key.id,
            f"key {hours}",
            b"x",
            hours,
        )
    for _ in range(2):
        await Maintenance(database).run_once()
        left = await partitions(owner)
        assert gone not in left
        assert new in left
        assert [row[0] for row in await owner.fetch("select key from idempotency_keys")] == ["key 1"]


async def make_delivery(database: Database, organization_id: object, status: str, age: timedelta) -> object:
    delivery_id, endpoint_id = new_uuid(), new_uuid()
    await database.worker.execute(
        "insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, event_type, "
        "status, due_at, created_at) values ($1, $2, $3, $4, now(), 'email.sent', $5, $6, now() - $7::interval)",
        organization_id,
        delivery_id,
        endpoint_id,
        new_uuid(),
        status,
        utcnow() if status == "pending" else None,
        age,
    )
    for number in (1, 2):
        await database.worker.execute(
            "insert into webhook_attempts (organization_id, id, delivery_id, endpoint_id, number, started_at, "
            "duration_ms) values ($1, $2, $3, $4, $5, now(), 1)",
            organization_id,
            new_uuid(),
            delivery_id,
            endpoint_id,
            number,
        )
    return delivery_id


async def test_old_deliveries_go_with_their_attempts_unless_they_are_still_owed(database: Database) -> None:
    tenant = await make_tenant(database)
    for status in ("delivered", "exhausted", "cancelled"):
        await make_delivery(database, tenant.id, status, LONG_AGO)
    kept = {
        await make_delivery(database, tenant.id, "pending", LONG_AGO),
        await make_delivery(database, tenant.id, "delivered", KEEP_EVENTS - timedelta(hours=1)),
    }
    assert await repository.forget_deliveries(database.worker, 2) == 2
    await Maintenance(database).run_once()
    assert {row[0] for row in await database.worker.fetch("select id from webhook_deliveries")} == kept
    attempts = await database.worker.fetch("select delivery_id, count(*) from webhook_attempts group by 1")
    assert dict(map(tuple, attempts)) == dict.fromkeys(kept, 2)


async def test_suppressions_are_forgotten_400_days_after_they_ended(database: Database) -> None:
    tenant = await make_tenant(database)
    long_ago, lately = utcnow() - timedelta(days=401), utcnow() - timedelta(days=399)
    ended = [(long_ago, None), (None, long_ago), (lately, long_ago), (long_ago, utcnow() + timedelta(days=1))]
    kept = [(None, None), (lately, None), (None, lately), (None, utcnow() + timedelta(days=1))]
    for number, (lifted_at, expires_at) in enumerate([*ended, *kept]):
        await database.worker.execute(
            "insert into suppressions (organization_id, id, address, reason, created_at, lifted_at, expires_at) "
            "values ($1, $2, $3, 'manual', now() - interval '3 years', $4, $5)",
            tenant.id,
            new_uuid(),
            f"{number}@example.com",
            lifted_at,
            expires_at,
        )
    assert await suppressions.forget(database.worker, KEEP_SUPPRESSIONS, 3) == 3
    await Maintenance(database).run_once()
    rows = await database.worker.fetch("select lifted_at, expires_at from suppressions order by address")
    assert [tuple(row) for row in rows] == kept


async def test_server_facts_count_what_waits(database: Database) -> None:
    empty = await repository.server_facts(database.worker)
    assert (empty.due, empty.oldest_due_seconds, empty.failed) == (0, 0.0, 0)
    assert empty.partitions_ahead == DAYS_AHEAD
    assert empty.version_number >= 150000
    tenant = await make_tenant(database)
    await make_email(database, tenant, recipients=[Recipient("a@example.com"), Recipient("b@example.com", "failed")])
    await database.worker.execute(
        "update email_recipients set due_at = now() - interval '1 hour' where due_at is not null"
    )
    facts = await repository.server_facts(database.worker)
    assert (facts.due, facts.failed) == (1, 1)
    assert facts.oldest_due_seconds >= 3600


async def test_server_facts_see_a_transaction_that_writes_for_long(database: Database, owner: Connection) -> None:
    async with owner.transaction():
        await owner.execute("select pg_current_xact_id()")
        facts = await repository.server_facts(database.worker)
        assert facts.longest_write_seconds > 0
    async with database.worker.acquire() as connection:
        assert await connection.fetchval("select current_user") == WORKER_ROLE


async def test_each_organization_keeps_events_as_long_as_it_says(database: Database, owner: Connection) -> None:
    """Deliveries too. Whoever keeps them longer makes partitions stay, and of the others rows go."""
    now = utcnow()
    kept: dict[int, set[int]] = {}
    tenants = {}
    for days in (3, 30, 60):
        tenant = tenants[days] = await make_tenant(database, f"{days} days")
        await database.worker.execute(
            "update organizations set event_retention_days = $2 where id = $1", tenant.id, days
        )
        for age in (2, 10, 40, 70):
            moment = now - timedelta(days=age)
            await add_partition(owner, moment.date())
            await database.worker.execute(
                "insert into events (organization_id, id, created_at, mode, type, resource_id, sequence, payload) "
                "values ($1, $2, $3, 'live', 'email.sent', $2, $4, '{}')",
                tenant.id,
                UUID(int=(int(moment.timestamp() * 1000) << 80) + age),
                moment,
                age,
            )
            await make_delivery(database, tenant.id, "delivered", timedelta(days=age))
    await Maintenance(database).run_once()
    for days, tenant in tenants.items():
        rows = await database.worker.fetch("select sequence from events where organization_id = $1", tenant.id)
        kept[days] = {row["sequence"] for row in rows}
        deliveries = await database.worker.fetchval(
            "select count(*) from webhook_deliveries where organization_id = $1", tenant.id
        )
        assert deliveries == len(kept[days])
    assert kept == {3: {2}, 30: {2, 10}, 60: {2, 10, 40}}
