"""Throttle, concurrency, and the circuit of an endpoint, with real receivers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from aiohttp import web

from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_webhooks.engine import WebhookEngine
from tests.webhooks.engine.test_run import Gate, all_done, named, running
from tests.webhooks.engine.world import Received, Receiver, World, answer, ok


class Watch:
    """Answers well and notes how many at once."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.now = self.most = 0

    async def __call__(self, _: Received) -> web.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.takes)
        self.now -= 1
        return web.Response(status=204)


async def test_a_throttled_endpoint_is_slowed_and_nothing_is_dropped(world: World, receiver: Receiver) -> None:
    """Two workers, 40 a second, 30 events: no earlier than it allows, all of them, and the record shows it."""
    slow, _ = await world.endpoint(receiver.url("/slow"), throttle={"limit": 40, "per": "second"})
    fast, _ = await world.endpoint(receiver.url("/fast"))
    happened = await world.happen(30)
    async with running(world.engine()), running(world.engine()):
        await receiver.until(lambda it: len(it.at("/fast")) == 30)
        assert len(receiver.at("/slow")) < 30
        await receiver.until(lambda it: len(it.at("/slow")) == 30)
        await all_done(world)
    assert set(receiver.ids("/slow")) == named(happened)
    # Each took a slot of its own, from the first claim on, and none began before its slot.
    first = min(row["created_at"] for row in await world.deliveries(slow))
    next_slot = await world.database.worker.fetchval("select throttle_at from webhook_endpoints where id = $1", slow.id)
    assert next_slot - first >= timedelta(seconds=30 / 40)
    started = [row["started_at"] for row in await world.attempts() if row["endpoint_id"] == slow.id]
    assert max(started) >= next_slot - timedelta(seconds=1.01 / 40)
    held = [row["throttled_ms"] for row in await world.deliveries(slow)]
    assert sum(wait > 0 for wait in held) > 20
    assert max(held) > 300
    assert {row["throttled_ms"] for row in await world.deliveries(fast)} == {0}
    assert {row["attempts"] for row in await world.deliveries(slow)} == {1}


async def test_retries_count_against_the_throttle(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), throttle={"limit": 20, "per": "second"})
    happened = await world.happen(5)
    watch = Watch()
    receiver.answers["/hook"] = answer(500)
    engine = world.engine(retry_scale=0.0001, breaker_failures=1000)
    async with running(engine):
        await receiver.until(lambda it: len(it.requests) >= 8)
        receiver.answers["/hook"] = watch
        await all_done(world)
    assert set(receiver.ids()) == named(happened)


async def test_that_it_is_throttled_can_be_seen_and_ends(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), throttle={"limit": 10, "per": "second"})
    await world.happen(12)
    async with running(world.engine()):
        await receiver.until(lambda it: len(it.requests) >= 3)
        since = "select throttled_since from webhook_endpoints"
        assert await world.database.worker.fetchval(since) is not None
        await all_done(world)
        await world.happen()
        world.doorbell.ring(EVENTS)
        await receiver.until(lambda it: len(it.requests) == 13)
        await all_done(world)
    assert await world.database.worker.fetchval(since) is None


async def test_concurrency_holds_for_all_workers_together(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), concurrency=3)
    watch = receiver.answers["/hook"] = Watch(takes=0.02)
    happened = await world.happen(60)
    async with running(world.engine()), running(world.engine()):
        await receiver.until(lambda it: len(it.requests) == 60)
        await all_done(world)
    assert watch.most == 3
    assert set(receiver.ids()) == named(happened)


async def test_what_a_dead_worker_held_does_not_count_for_ever(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), concurrency=1)
    await world.happen(2)
    gate = receiver.answers["/hook"] = Gate()
    engine = world.engine()
    async with running(engine) as task:
        await receiver.until(lambda it: len(it.requests) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    gate.open()
    second = world.engine()
    await second.run_once()
    assert len(receiver.requests) == 1  # the lease holds
    await world.hurry()
    await second.run_once()
    assert len(receiver.ids()) == 2


async def test_a_circuit_opens_and_closes_again(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url())
    receiver.answers["/hook"] = answer(503)
    happened = await world.happen(20)
    engine = world.engine(breaker_wait=timedelta(minutes=1), breaker_max=timedelta(minutes=1))
    await engine.run_once()
    state = await health(world)
    assert state["breaker"] == "open"
    assert state["consecutive_failures"] >= 5
    tried = len(receiver.requests)
    assert tried < 20  # the rest waits, and its attempts are not used up
    await engine.run_once()
    assert len(receiver.requests) == tried

    await allow(world)  # one request tries, and fails
    await engine.run_once()
    assert len(receiver.requests) == tried + 1
    assert (await health(world))["breaker"] == "open"
    assert (await health(world))["breaker_openings"] == 2

    del receiver.answers["/hook"]
    await allow(world)
    await engine.run_once()
    await world.hurry()
    await engine.run_once()
    assert set(receiver.ids()) == named(happened)
    state = await health(world)
    assert (state["breaker"], state["consecutive_failures"], state["failing_since"]) == ("closed", 0, None)
    assert {row["status"] for row in await world.deliveries(endpoint)} == {"delivered"}


async def test_a_running_engine_tries_an_open_circuit_by_itself(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url())
    receiver.answers["/hook"] = answer(503)
    happened = await world.happen(10)
    wait = timedelta(milliseconds=100)
    async with running(world.engine(breaker_wait=wait, breaker_max=wait, retry_scale=0.001)):
        await receiver.until(lambda it: len(it.requests) >= 9)
        receiver.answers["/hook"] = ok
        await all_done(world)
    assert set(receiver.ids()) == named(happened)
    assert (await health(world))["breaker"] == "closed"


async def test_one_in_ten_hangs_and_its_circuit_opens(world: World, receiver: Receiver) -> None:
    gate = receiver.answers["/0"] = Gate()
    for number in range(10):
        await world.endpoint(receiver.url(f"/{number}"))
    happened = await world.happen(40)
    engine: WebhookEngine = world.engine(timeout=0.3, concurrency=4, breaker_wait=timedelta(minutes=5))
    async with running(engine):
        await receiver.until(lambda it: all(len(it.at(f"/{number}")) == 40 for number in range(1, 10)))
        while (await health(world, receiver.url("/0")))["breaker"] != "open":
            await asyncio.sleep(0.01)
        seen = len(receiver.at("/0"))
        assert seen < 40
        gate.open()
    for number in range(1, 10):
        assert set(receiver.ids(f"/{number}")) == named(happened)
        assert (await health(world, receiver.url(f"/{number}")))["consecutive_failures"] == 0


async def health(world: World, url: str | None = None) -> dict[str, Any]:
    row = await world.database.worker.fetchrow("select * from webhook_endpoints where url = coalesce($1, url)", url)
    return dict(row)


async def allow(world: World) -> None:
    """The wait of an open circuit is over; deliveries that were tried wait for their own retry."""
    await world.database.worker.execute("update webhook_endpoints set breaker_until = now()")
