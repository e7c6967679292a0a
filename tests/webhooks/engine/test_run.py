"""The engine as it runs: receivers that hang, workers that die, a database that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
from aiohttp import web

from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_webhooks.engine import WebhookEngine
from penguinmails_webhooks.fanout import Fanout
from tests.fixtures.factories import make_tenant
from tests.webhooks.engine.world import Received, Receiver, World, answer


@asynccontextmanager
async def running(engine: WebhookEngine) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(engine.run())
    try:
        yield task
    finally:
        await engine.stop(grace=0)
        await asyncio.gather(task, return_exceptions=True)


async def crash(task: asyncio.Task[None]) -> None:
    """No request ends, nothing is written."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def named(events: list[UUID]) -> set[str]:
    return {encode(Prefix.EVENT, event) for event in events}


class Gate:
    """An answer that does not come before `open`."""

    def __init__(self, status: int = 204) -> None:
        self.status = status
        self._event = asyncio.Event()

    def open(self) -> None:
        self._event.set()

    async def __call__(self, _: Received) -> web.Response:
        await self._event.wait()
        return web.Response(status=self.status)


async def all_done(world: World) -> None:
    connection = await asyncpg.connect(world.database.dsn)
    try:
        while await connection.fetchval("select count(*) from webhook_deliveries where due_at is not null"):
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_events_flow(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    engine = world.engine()
    async with running(engine):
        happened: list[UUID] = []
        for _ in range(5):
            happened += await world.happen(20)
            world.doorbell.ring(EVENTS)
            expected = len(happened)
            await receiver.until(lambda it, expected=expected: len(it.requests) >= expected)  # type: ignore[misc]
        await all_done(world)
    assert set(receiver.ids()) == named(happened)
    assert set(receiver.ids().values()) == {1}
    assert engine.counters.delivered == engine.counters.attempts == engine.counters.owed == 100


async def test_without_a_bell_the_poll_finds_everything(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    async with running(world.engine(poll=timedelta(milliseconds=50))):
        await world.happen()
        await receiver.until(lambda it: len(it.requests) == 1)
        await all_done(world)
        # As another process does that has no Redis to ring with.
        await world.database.worker.execute("update webhook_deliveries set status = 'pending', due_at = now()")
        await receiver.until(lambda it: len(it.requests) == 2)


async def test_one_hangs_and_nine_get_everything(world: World, receiver: Receiver) -> None:
    """Fewer requests at once than the hanging endpoint could take: it must not hold them all."""
    gate = Gate()
    receiver.answers["/0"] = gate
    for number in range(10):
        await world.endpoint(receiver.url(f"/{number}"))
    happened = await world.happen(30)
    engine = world.engine(timeout=60, concurrency=2)
    async with running(engine):
        await receiver.until(lambda it: all(len(it.at(f"/{number}")) == 30 for number in range(1, 10)))
        assert 0 < len(receiver.at("/0")) <= 2
        assert engine.in_flight >= len(receiver.at("/0"))
        gate.open()
        await receiver.until(lambda it: len(it.at("/0")) == 30)
        await all_done(world)
    for number in range(10):
        assert set(receiver.ids(f"/{number}")) == named(happened)


async def test_another_tenant_is_not_behind_a_backlog(world: World, receiver: Receiver) -> None:
    gate = Gate()
    receiver.answers["/busy"] = gate
    for _ in range(4):
        await world.endpoint(receiver.url("/busy"))
    await world.happen(100)
    other = await make_tenant(world.database, "Umbrella")
    await world.endpoint(receiver.url("/fresh"), principal=other.principal())
    async with running(world.engine(timeout=60, concurrency=4)):
        await receiver.until(lambda it: len(it.at("/busy")) >= 4)
        await world.happen(tenant=other)
        world.doorbell.ring(EVENTS)
        await receiver.until(lambda it: len(it.at("/fresh")) == 1)
        assert len(receiver.at("/busy")) < 100
        gate.open()
        await all_done(world)
    assert len(receiver.at("/busy")) == 400


async def test_a_worker_that_dies_sends_again_with_the_same_id(world: World, receiver: Receiver) -> None:
    _, secret = await world.endpoint(receiver.url())
    gate = Gate()
    receiver.answers["/hook"] = gate
    happened = await world.happen(3)
    async with running(world.engine()) as task:
        await receiver.until(lambda it: len(it.requests) == 2)  # what a new endpoint gets at once
        await crash(task)
    first = set(receiver.ids())
    gate.open()

    second = world.engine()
    await second.run_once()
    assert set(receiver.ids()) - first == named(happened) - first  # the leases hold
    assert {receiver.ids()[event] for event in first} == {1}

    await world.hurry()
    await second.run_once()
    assert set(receiver.ids()) == named(happened)
    assert {receiver.ids()[event] for event in first} == {2}
    for request in receiver.requests:
        request.verify(secret)
    rows = await world.deliveries()
    assert {row["status"] for row in rows} == {"delivered"}
    assert sorted(row["attempts"] for row in rows) == [1, 2, 2]


async def test_two_workers_share_the_work(world: World, receiver: Receiver) -> None:
    for path in ("/a", "/b", "/c"):
        await world.endpoint(receiver.url(path))
    first, second = world.engine(), world.engine()
    async with running(first), running(second):
        happened = await world.happen(100)
        world.doorbell.ring(EVENTS)
        await receiver.until(lambda it: len(it.requests) >= 300)
        await all_done(world)
    for path in ("/a", "/b", "/c"):
        assert set(receiver.ids(path)) == named(happened)
    assert len(receiver.requests) == 300
    assert first.counters.owed + second.counters.owed == 300


async def test_a_late_failure_does_not_undo_a_success(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.happen()
    slow = Gate(status=500)
    receiver.answers["/hook"] = slow
    late = world.engine(timeout=60)
    async with running(late):
        await receiver.until(lambda it: len(it.requests) == 1)
        await world.hurry()  # the lease ran out
        del receiver.answers["/hook"]
        await world.engine().run_once()
        assert [row["status"] for row in await world.deliveries()] == ["delivered"]
        slow.open()
        await until_attempts(world, 2)
    [delivery] = await world.deliveries()
    assert (delivery["status"], delivery["due_at"]) == ("delivered", None)
    assert {row["status_code"] for row in await world.attempts()} == {204, 500}


async def until_attempts(world: World, count: int) -> None:
    while len(await world.attempts()) < count:
        await asyncio.sleep(0.01)


async def test_stopping_waits_for_answers(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    gate = Gate()
    receiver.answers["/hook"] = gate
    await world.happen()
    engine = world.engine()
    task = asyncio.create_task(engine.run())
    await receiver.until(lambda it: len(it.requests) == 1)
    stopping = asyncio.create_task(engine.stop(grace=60))
    await asyncio.sleep(0)
    await world.happen()  # nothing new is begun
    gate.open()
    await stopping
    await task
    assert len(receiver.requests) == 1
    assert [row["status"] for row in await world.deliveries()] == ["delivered"]


async def test_killed_connections_lose_nothing(world: World, receiver: Receiver) -> None:
    for path in ("/a", "/b"):
        await world.endpoint(receiver.url(path))
    admin = await asyncpg.connect(world.database.dsn)
    engine = world.engine(poll=timedelta(milliseconds=50), retry_scale=0.001)
    happened: list[UUID] = []
    killed = 0
    try:
        async with running(engine):
            for _ in range(15):
                happened += await insert(admin, world, 10)
                world.doorbell.ring(EVENTS)
                killed += await admin.fetchval(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where application_name = 'penguinmails worker' and datname = current_database()"
                )
                await asyncio.sleep(0.02)
            await receiver.until(lambda it: all(set(it.ids(path)) == named(happened) for path in ("/a", "/b")))
            # What was claimed in a transaction whose answer was lost is due when its lease is over.
            await admin.execute("update webhook_deliveries set due_at = now() where due_at is not null")
            await all_done(world)
    finally:
        await admin.close()
    assert killed > 0
    rows = await world.deliveries()
    assert len(rows) == 2 * len(happened)
    assert {row["status"] for row in rows} == {"delivered"}


async def insert(connection: asyncpg.Connection, world: World, count: int) -> list[UUID]:
    events = [new_uuid() for _ in range(count)]
    await connection.executemany(
        "insert into events (organization_id, workspace_id, id, type, mode, resource_id, sequence, payload) "
        "values ($1, $2, $3, 'email.queued', 'live', $3, 1, '{}')",
        [(world.tenant.id, world.tenant.workspace_id, event) for event in events],
    )
    return events


async def test_what_is_owed_to_a_deleted_endpoint_is_cancelled(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    await world.happen()
    while (await Fanout(world.database.worker).round()).more:
        pass
    engine = world.engine()
    await world.database.worker.execute("delete from webhook_endpoints")
    await engine.run_once()
    assert receiver.requests == []
    [delivery] = await world.deliveries()
    assert (delivery["status"], delivery["due_at"]) == ("cancelled", None)
    assert engine.counters.cancelled == 1


async def test_what_the_database_refuses_does_not_hold_up_the_rest(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url("/good"))
    await world.endpoint(receiver.url("/bad"))
    receiver.answers["/bad"] = answer(500, text="poison")
    owner = await asyncpg.connect(world.database.dsn)
    try:
        await owner.execute("alter table webhook_attempts add constraint poison check (response_body <> 'poison')")
        async with running(world.engine()):
            await world.happen(5)
            world.doorbell.ring(EVENTS)
            await until_attempts(world, 10)
    finally:
        await owner.execute("alter table webhook_attempts drop constraint poison")
        await owner.close()
    assert {row["response_body"] for row in await world.attempts()} == {None}
    statuses = [row["status"] for row in await world.deliveries()]
    assert sorted(statuses) == ["delivered"] * 5 + ["pending"] * 5
