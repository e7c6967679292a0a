"""Long backlogs: what they cost, and that others do not wait for their end. A million is measured by `make bench`."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg

from penguinmails_core.models import WebhookEndpoint
from penguinmails_webhooks import repository
from penguinmails_webhooks.fanout import Round
from tests.fixtures.factories import make_tenant
from tests.webhooks.engine.test_run import Gate, running
from tests.webhooks.engine.world import Receiver, World

_FEW, _MANY = 1_000, 30_000
_TYPES = "uuid[], uuid[], int[], interval, interval, timestamptz, boolean[], timestamptz"


async def owe(world: World, endpoint: WebhookEndpoint, count: int) -> None:
    await world.database.worker.execute(
        "insert into webhook_deliveries "
        "(organization_id, id, endpoint_id, event_id, event_created_at, event_type, due_at) "
        "select $1, gen_random_uuid(), $2, gen_random_uuid(), now(), 'email.queued', now() - n * interval '1 ms' "
        "from generate_series(1, $3::int) n",
        endpoint.organization_id,
        endpoint.id,
        count,
    )


async def pages_of_a_claim(world: World, endpoint: WebhookEndpoint) -> int:
    """Pages that PostgreSQL looks at to claim ten."""
    connection = await asyncpg.connect(world.database.dsn)
    try:
        await connection.execute("vacuum analyze webhook_deliveries")
        async with connection.transaction():
            await repository.use_indexes(connection, keep_plans=True)
            await connection.execute("set local plan_cache_mode = force_generic_plan")
            await connection.execute(f"prepare claim ({_TYPES}) as {repository._CLAIM}")
            values = (
                f"array['{endpoint.organization_id}'::uuid], array['{endpoint.id}'::uuid], array[10], "
                "interval '1 min', interval '5 days', null, array[false], timestamptz '9999-01-01'"
            )
            explained = await connection.fetchval(f"explain (analyze, buffers, format json) execute claim ({values})")
            await connection.execute("deallocate claim")
    finally:
        await connection.close()
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    pages: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return pages


async def test_a_claim_costs_the_same_however_much_waits(world: World) -> None:
    endpoint, _ = await world.endpoint("https://hooks.example.com/in")
    await owe(world, endpoint, _FEW)
    few = await pages_of_a_claim(world, endpoint)
    await owe(world, endpoint, _MANY - _FEW)
    many = await pages_of_a_claim(world, endpoint)
    assert few > 10  # ten rows and their indexes
    assert many < few * 1.5


async def test_what_is_held_in_memory_does_not_grow_with_the_backlog(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url("/busy"))
    gate = receiver.answers["/busy"] = Gate()
    await world.happen(3000)
    engine = world.engine(concurrency=8, timeout=60)
    async with running(engine):
        await receiver.until(lambda it: len(it.requests) >= 2)
        while engine.counters.owed < 3000:
            await asyncio.sleep(0.01)
        assert engine.in_flight <= 2  # of an endpoint that has not answered yet
        assert len(engine._lineup._endpoints) == 1
        assert len(engine._lineup._later) <= 2 + engine.counters.owed // 1000
        gate.open()
        while engine.counters.delivered < 200:
            await asyncio.sleep(0.005)
            assert engine.in_flight <= 8 * 4
    assert {row["endpoint_id"] for row in await world.deliveries()} == {endpoint.id}


async def test_a_fresh_event_does_not_wait_until_a_long_log_is_read(world: World, receiver: Receiver) -> None:
    """The log holds 5,000 events of one tenant when another has its first one. It is read page by page: the second one
    once the other event has happened, the third one not before that has arrived."""
    other = await make_tenant(world.database, "Umbrella")
    await world.endpoint(receiver.url("/busy"))
    await world.endpoint(receiver.url("/fresh"), principal=other.principal())
    receiver.answers["/busy"] = Gate()
    await world.database.worker.execute(
        "insert into events (organization_id, workspace_id, id, type, mode, resource_id, sequence, payload) "
        "select $1, $2, gen_random_uuid(), 'email.queued', 'live', gen_random_uuid(), 1, '{}' "
        "from generate_series(1, 5000)",
        world.tenant.id,
        world.tenant.workspace_id,
    )
    engine = world.engine(timeout=60, poll=timedelta(seconds=30))
    happened, arrived = asyncio.Event(), asyncio.Event()
    turns, read = {1000: happened, 2000: arrived}, engine._fanout.round

    async def page() -> Round:
        if (turn := turns.get(engine.counters.events)) is not None:
            await turn.wait()
        engine._fanout._express._next = 0.0  # the pause between two looks is over
        return await read()

    engine._fanout.round = page  # type: ignore[method-assign]
    async with running(engine):
        while not engine.counters.events:
            await asyncio.sleep(0.001)
        await world.happen(tenant=other)
        happened.set()
        await receiver.until(lambda it: len(it.at("/fresh")) == 1)
        assert engine.counters.events <= 2000
        arrived.set()
