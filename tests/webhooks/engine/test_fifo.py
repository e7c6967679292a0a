"""Strict order among the events of one key, whatever fails."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiohttp import web

from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models.webhook import HELD
from penguinmails_webhooks.retry import MAX_ATTEMPTS
from tests.fixtures.factories import make_event
from tests.webhooks.engine.test_run import named, running
from tests.webhooks.engine.world import Received, Receiver, World, answer, ok


async def happen(
    world: World, payloads: list[dict[str, Any]], resources: list[UUID] | None = None, before: int = 0
) -> list[UUID]:
    async with world.database.worker.acquire() as connection, connection.transaction():
        return [
            await make_event(
                connection,
                world.tenant.id,
                world.tenant.workspace_id,
                resources[number] if resources else new_uuid(),
                payload,
                sequence=before + number + 1,
            )
            for number, payload in enumerate(payloads)
        ]


async def in_order(world: World, count: int) -> list[UUID]:
    """In as many transactions."""
    return [(await world.happen())[0] for _ in range(count)]


class Flaky:
    """Fails every third event once, and remembers what it took, in the order of the first answers."""

    def __init__(self) -> None:
        self.requests = 0
        self.failed: set[str] = set()
        self.taken: list[Received] = []

    async def __call__(self, received: Received) -> web.Response:
        self.requests += 1
        if self.requests % 3 == 0 and received.id not in self.failed:
            self.failed.add(received.id)
            return web.Response(status=500)
        await asyncio.sleep(0)
        self.taken.append(received)
        return web.Response(status=204)


@pytest.mark.parametrize("fifo", ["endpoint", "email_id", "contact_id", "resource"])
async def test_order_is_kept_per_key(world: World, receiver: Receiver, fifo: str) -> None:
    """Several transactions, retries, two workers: within a key the order of the events."""
    await world.endpoint(receiver.url(), fifo=fifo)
    flaky = receiver.answers["/hook"] = Flaky()
    resources = [new_uuid() for _ in range(4)]
    happened: list[UUID] = []
    async with (
        running(world.engine(retry_scale=0.001, breaker_failures=1000)),
        running(world.engine(retry_scale=0.001, breaker_failures=1000)),
    ):
        for turn in range(5):
            payloads = [
                {"email_id": f"msg_{number % 4}", "contact_id": f"ctc_{number % 2}", "place": turn * 8 + number}
                for number in range(8)
            ]
            same = [resources[number % 4] for number in range(8)] if fifo == "resource" else None
            happened += await happen(world, payloads, same, turn * 8)
            world.doorbell.ring(EVENTS)
        while len({received.id for received in flaky.taken}) < 40:
            await asyncio.sleep(0.01)
    assert {received.id for received in flaky.taken} == named(happened)
    orders = defaultdict(list)
    keys = {"endpoint": 1, "contact_id": 2}.get(fifo, 4)
    # The order of the log: of transactions, and of what is in one by the ids; of a resource by its sequence.
    order = "sequence" if fifo == "resource" else "xid, id"
    rows = await world.database.worker.fetch(f"select id from events order by {order}")
    log = {next(iter(named([row["id"]]))): place for place, row in enumerate(rows)}
    for received in flaky.taken:
        orders[received.event["data"]["place"] % keys].append(log[received.id])
    assert all(order == sorted(order) for order in orders.values()), orders
    assert len(orders) == keys


async def test_a_failing_head_holds_its_key_back_and_no_other(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url(), fifo="email_id")

    async def picky(received: Received) -> web.Response:
        return web.Response(status=500 if received.event["data"]["email_id"] == "msg_a" else 204)

    receiver.answers["/hook"] = picky
    await happen(world, [{"email_id": name} for name in ("msg_a", "msg_b") for _ in range(5)])
    engine = world.engine()
    await engine.run_once()
    of_a = [request for request in receiver.requests if request.event["data"]["email_id"] == "msg_a"]
    assert len(of_a) == 1
    rows = await world.deliveries(endpoint)
    assert sorted(row["status"] for row in rows) == ["delivered"] * 5 + ["pending"] * 5
    assert sum(row["due_at"] == HELD for row in rows) == 4
    assert {row["attempts"] for row in rows if row["due_at"] == HELD} == {0}

    receiver.answers["/hook"] = ok
    await world.hurry()  # the held ones too: they are put back, and go in their turn
    await engine.run_once()
    of_a = [request for request in receiver.requests if request.event["data"]["email_id"] == "msg_a"]
    positions = {row["event_id"]: row["fifo_position"] for row in rows}
    order = [positions[next(event for event in positions if named([event]) == {request.id})] for request in of_a[1:]]
    assert order == sorted(order)
    assert len(order) == 5
    assert of_a[0].id == of_a[1].id


async def test_an_exhausted_head_lets_the_next_one_go(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), ("email.*",), fifo="endpoint")
    first, second, third = await in_order(world, 3)
    receiver.answers["/hook"] = answer(500)
    engine = world.engine(breaker_failures=1000)
    for _ in range(MAX_ATTEMPTS - 1):
        await engine.run_once()
        await world.hurry()
    assert set(receiver.ids()) == named([first])

    async def refuse_once(_: Received) -> web.Response:
        receiver.answers["/hook"] = ok
        return web.Response(status=500)

    receiver.answers["/hook"] = refuse_once
    await engine.run_once()
    assert receiver.ids()[next(iter(named([first])))] == MAX_ATTEMPTS
    assert set(receiver.ids()) == named([first, second, third])
    statuses = await world.database.worker.fetch("select status from webhook_deliveries order by fifo_position")
    assert [row["status"] for row in statuses] == ["exhausted", "delivered", "delivered"]


async def test_without_the_member_there_is_no_order(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url(), fifo="contact_id")
    await happen(world, [{"email_id": "msg_a"}, {"contact_id": None}, {"contact_id": "ctc_a"}])
    await world.engine().run_once()
    assert sorted(str(row["fifo_key"]) for row in await world.deliveries(endpoint)) == ["None", "None", "ctc_a"]
    assert len(receiver.requests) == 3


async def test_what_waits_for_a_delivery_that_is_gone_is_released(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), fifo="endpoint")
    receiver.answers["/hook"] = answer(500)
    _, second, third = await in_order(world, 3)
    engine = world.engine()
    await engine.run_once()
    await world.database.worker.execute("delete from webhook_deliveries where due_at < $1", HELD)
    receiver.answers["/hook"] = ok
    await engine.run_once()
    await engine.run_once()
    assert named([second, third]) <= set(receiver.ids())


async def test_fan_out_and_the_end_of_a_head_cannot_miss_each_other(world: World, receiver: Receiver) -> None:
    """One by one, events arrive while the one before them ends."""
    await world.endpoint(receiver.url(), fifo="endpoint")
    happened: list[UUID] = []
    async with running(world.engine()), running(world.engine()):
        for _ in range(60):
            happened += await world.happen()
            world.doorbell.ring(EVENTS)
            await asyncio.sleep(0.003)
        await receiver.until(lambda it: len(it.requests) == 60)
    assert [request.id for request in receiver.requests] == [next(iter(named([event]))) for event in happened]


async def test_an_older_event_that_is_sent_again_comes_first(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), fifo="endpoint")
    happened = await in_order(world, 3)
    receiver.answers["/hook"] = answer(500)
    engine = world.engine(breaker_failures=1000)
    await engine.run_once()
    connection = await asyncpg.connect(world.database.dsn)
    try:
        await connection.execute("update webhook_deliveries set due_at = now()")  # as if each were resent
    finally:
        await connection.close()
    receiver.answers["/hook"] = ok
    receiver.requests.clear()
    await engine.run_once()
    await engine.run_once()
    assert [request.id for request in receiver.requests] == [next(iter(named([event]))) for event in happened]
