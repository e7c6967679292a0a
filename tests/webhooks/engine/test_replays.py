"""Replays against the engine: what was missed comes, once, in order, behind what happens now, across crashes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiohttp import web

from penguinmails_core.config import WebhookSettings
from penguinmails_core.errors import Conflict, NotFound, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.doorbell import EVENTS, REPLAYS, WEBHOOKS
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.webhook_replays import service
from penguinmails_core.webhook_replays.service import Only, Replay, Wish
from penguinmails_webhooks import replay_repository as repository
from penguinmails_webhooks import replays as module
from penguinmails_webhooks.endpoints import webhook_endpoints
from penguinmails_webhooks.engine import WebhookEngine
from penguinmails_webhooks.replays import Replays
from tests.fixtures.factories import make_event
from tests.webhooks.engine.world import BOX, Received, Receiver, World, answer

LONG_AGO = timedelta(days=20)


@pytest.fixture
def replays(world: World) -> Replays:
    return Replays(world.database, world.doorbell)


async def ask(world: World, endpoint: WebhookEndpoint, **wish: Any) -> UUID:
    async with world.database.tenant(world.tenant.id) as session:
        return (await service.create(session, world.tenant.principal(), endpoint.id, Wish(**wish))).row.id


async def look(world: World, replay_id: UUID) -> Replay:
    async with world.database.tenant(world.tenant.id) as session:
        return await service.get(session, world.tenant.principal(), replay_id)


async def finish(world: World, replays: Replays, engine: WebhookEngine, replay_id: UUID) -> Replay:
    """Step by step, until the replay has ended."""
    for _ in range(500):
        await replays.run_once()
        await engine.run_once()
        replay = await look(world, replay_id)
        if replay.row.finished_at is not None:
            return replay
    raise AssertionError("it does not end")


def names(*transactions: list[UUID]) -> list[str]:
    """In the order of the log: of events of one transaction, that of their ids."""
    return [name for events in transactions for name in sorted(encode(Prefix.EVENT, event) for event in events)]


async def age(world: World, endpoint: WebhookEndpoint, by: timedelta = LONG_AGO) -> None:
    """The endpoint is older than it is, so that a replay goes back so far by itself."""
    await world.database.worker.execute(
        "update webhook_endpoints set created_at = created_at - $2::interval where id = $1", endpoint.id, by
    )


async def test_missing_is_whatever_was_not_received(world: World, receiver: Receiver, replays: Replays) -> None:
    engine = world.engine(endpoint_concurrency=1)
    before = await world.happen(2)
    endpoint, secret = await world.endpoint(receiver.url())
    received = await world.happen(2)
    await engine.run_once()
    receiver.answers["/hook"] = answer(503)
    waiting = await world.happen(2)
    await engine.run_once()
    given_up = await world.happen(2)
    await engine.run_once()
    await world.database.worker.execute(
        "update webhook_deliveries set status = 'exhausted', due_at = null where event_id = any($1::uuid[])", given_up
    )
    await world.database.worker.execute("update webhook_endpoints set status = 'disabled'")
    unseen = await world.happen(2)
    await engine.run_once()
    await world.database.worker.execute("update webhook_endpoints set status = 'enabled'")
    receiver.answers.clear()
    receiver.requests.clear()

    replay_id = await ask(world, endpoint)
    replay = await finish(world, replays, engine, replay_id)
    assert replay.row.status == "completed"
    assert [request.id for request in receiver.requests] == names(waiting, given_up, unseen)
    for request in receiver.requests:
        request.verify(secret)
    assert (replay.row.created, replay.row.resent, replay.outcomes) == (2, 4, {"delivered": 6})
    assert replay.progress == 1

    # What happened before the endpoint was made comes only when it is asked for.
    receiver.requests.clear()
    replay = await finish(world, replays, engine, await ask(world, endpoint, since=utcnow() - LONG_AGO))
    assert [request.id for request in receiver.requests] == names(before)
    assert (replay.row.created, replay.row.resent) == (2, 0)

    # And once more there is nothing left.
    receiver.requests.clear()
    replay = await finish(world, replays, engine, await ask(world, endpoint, since=utcnow() - LONG_AGO))
    assert receiver.requests == []
    assert (replay.row.created, replay.row.resent, replay.row.scanned) == (0, 0, 10)
    assert received


async def test_what_waits_for_a_retry_is_tried_now(world: World, receiver: Receiver, replays: Replays) -> None:
    """And what is under way is left alone."""
    engine = world.engine(retry_scale=1.0)
    endpoint, _ = await world.endpoint(receiver.url())
    receiver.answers["/hook"] = answer(503)
    waiting = await world.happen(3)
    await engine.run_once()
    [claimed] = await world.happen(1)
    await engine.run_once()
    await world.database.worker.execute(
        "delete from webhook_attempts where delivery_id = (select id from webhook_deliveries where event_id = $1)",
        claimed,
    )  # as it is before its answer
    receiver.answers.clear()
    receiver.requests.clear()
    replay = await finish(world, replays, engine, await ask(world, endpoint))
    assert receiver.ids() == dict.fromkeys(names(waiting), 1)
    assert (replay.row.resent, replay.outcomes) == (3, {"delivered": 3})


async def test_only_what_was_asked_for(world: World, receiver: Receiver, replays: Replays) -> None:
    engine = world.engine(endpoint_concurrency=1)
    endpoint, _ = await world.endpoint(receiver.url(), ("email.*", "domain.created"))
    sent = await world.happen(3, type_="email.sent")
    queued = await world.happen(3, type_="email.queued")
    domain = await world.happen(1, type_="domain.created")
    await world.happen(1, type_="suppression.created")
    await world.happen(1, type_="email.sent", mode="test")
    await engine.run_once()
    await world.database.worker.execute(
        "update webhook_deliveries set status = 'exhausted' where event_id = any($1::uuid[])", [sent[0], queued[0]]
    )
    receiver.requests.clear()

    async def replayed(**wish: Any) -> list[str]:
        receiver.requests.clear()
        await finish(world, replays, engine, await ask(world, endpoint, **wish))
        return [request.id for request in receiver.requests]

    assert await replayed(only=Only.FAILED, types=["email.queued"]) == names([queued[0]])
    assert await replayed(only=Only.FAILED) == names([sent[0]])
    assert await replayed(only=Only.FAILED) == []
    assert await replayed(only=Only.ALL) == names(sent, queued, domain)
    assert await replayed(only=Only.ALL, types=["domain.*", "suppression.*"]) == names(domain)
    first = await world.database.worker.fetchval("select created_at from events where id = $1", queued[0])
    assert await replayed(only=Only.ALL, since=first) == names(queued, domain)
    assert await replayed(only=Only.ALL, until=first) == names(sent, queued)
    assert await replayed(event_id=sent[1]) == names([sent[1]])


async def test_one_event_whatever_the_endpoint_asks_for(world: World, receiver: Receiver, replays: Replays) -> None:
    engine = world.engine()
    endpoint, _ = await world.endpoint(receiver.url(), ("domain.*",))
    [event] = await world.happen()
    await engine.run_once()
    replay = await finish(world, replays, engine, await ask(world, endpoint, event_id=event))
    assert [request.id for request in receiver.requests] == names([event])
    assert (replay.row.total, replay.row.scanned, replay.row.created) == (1, 1, 1)


async def test_fresh_events_do_not_wait_for_a_replay(
    world: World, receiver: Receiver, replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand are owed; what happens meanwhile is among the next ones that are sent."""
    monkeypatch.setattr(module, "_MOST", 20)
    engine = world.engine(endpoint_concurrency=1)
    old = await world.happen(1000)
    endpoint, _ = await world.endpoint(receiver.url())
    replay_id = await ask(world, endpoint, since=utcnow() - LONG_AGO)
    await replays.run_once()
    await replays.run_once()
    assert len(await world.deliveries(endpoint)) == 10, "the rest stays in the log until there is room"
    await engine.run_once()
    await replays.run_once()
    owed = await world.database.worker.fetchval("select count(*) from webhook_deliveries where due_at is not null")
    assert owed == 20, "what the endpoint took doubles the window"
    [fresh] = await world.happen()
    await engine.run_once()
    place = [request.id for request in receiver.requests].index(names([fresh])[0])
    assert place <= 10 + 20
    await finish(world, replays, engine, replay_id)
    assert receiver.ids() == dict.fromkeys(names([*old, fresh]), 1)


async def test_a_worker_that_is_killed_goes_on_where_it_was(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is taken back as a whole: here the connection dies before its commit, every other time."""
    monkeypatch.setattr(module, "_PAGE", 7)
    engine = world.engine()
    events = await world.happen(60)
    endpoint, _ = await world.endpoint(receiver.url())
    replay_id = await ask(world, endpoint, since=utcnow() - LONG_AGO)
    original, calls = repository.move, 0

    async def die(connection: Any, *args: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        await original(connection, *args, **options)
        if calls % 2:
            connection.terminate()

    monkeypatch.setattr(repository, "move", die)
    for _ in range(200):
        with suppress(asyncpg.AdminShutdownError, asyncpg.InterfaceError, asyncpg.ConnectionDoesNotExistError):
            await Replays(world.database, world.doorbell).run_once()  # another process each time
        await engine.run_once()
        replay = await look(world, replay_id)
        if replay.row.finished_at is not None:
            break
    assert replay.row.status == "completed"
    assert (replay.row.created, replay.row.scanned, replay.outcomes) == (60, 60, {"delivered": 60})
    assert receiver.ids() == dict.fromkeys(names(events), 1)
    assert calls > 12


async def test_workers_share_the_work(world: World, receiver: Receiver) -> None:
    engine = world.engine()
    events = await world.happen(300)
    endpoint, _ = await world.endpoint(receiver.url())
    replay_id = await ask(world, endpoint, since=utcnow() - LONG_AGO)
    workers = [Replays(world.database, world.doorbell) for _ in range(3)]
    while (await look(world, replay_id)).row.finished_at is None:
        await asyncio.gather(*(worker.run_once() for worker in workers))
        await engine.run_once()
    assert receiver.ids() == dict.fromkeys(names(events), 1)
    assert (await look(world, replay_id)).row.created == 300


async def test_late_commits_are_replayed_too(world: World, receiver: Receiver, replays: Replays) -> None:
    """The endpoint was disabled when the event was written; it commits after the replay was asked for, and while an
    older transaction is still open."""
    engine = world.engine()
    endpoint, _ = await world.endpoint(receiver.url())
    await world.database.worker.execute("update webhook_endpoints set status = 'disabled'")
    async with world.database.worker.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        late = await make_event(connection, world.tenant.id, None, new_uuid(), {})
        [quick] = await world.happen()
        await engine.run_once()
        await world.database.worker.execute("update webhook_endpoints set status = 'enabled'")
        replay_id = await ask(world, endpoint)
        for _ in range(3):
            await replays.run_once()
            await engine.run_once()
        assert (await look(world, replay_id)).row.status == "running"
        await transaction.commit()
    await finish(world, replays, engine, replay_id)
    assert sorted(receiver.ids()) == sorted(names([late, quick]))
    assert set(receiver.ids().values()) == {1}


async def test_cancelled_it_makes_nothing_more_due(world: World, receiver: Receiver, replays: Replays) -> None:
    engine = world.engine()
    await world.happen(100)
    endpoint, _ = await world.endpoint(receiver.url())
    replay_id = await ask(world, endpoint, since=utcnow() - LONG_AGO)
    await replays.run_once()
    for _ in range(2):
        async with world.database.tenant(world.tenant.id) as session:
            cancelled = await service.cancel(session, world.tenant.principal(), replay_id)
        assert cancelled.row.status == "cancelled"
    await engine.run_once()
    await replays.run_once()
    await engine.run_once()
    assert len(receiver.requests) == 10
    assert (await look(world, replay_id)).progress == 0.1


@pytest.mark.parametrize(
    "change", ["update webhook_endpoints set status = 'disabled'", "delete from webhook_endpoints"]
)
async def test_it_fails_with_its_endpoint(world: World, receiver: Receiver, replays: Replays, change: str) -> None:
    await world.happen(100)
    endpoint, _ = await world.endpoint(receiver.url())
    replay_id = await ask(world, endpoint, since=utcnow() - LONG_AGO)
    await replays.run_once()
    await world.database.worker.execute(change)
    await replays.run_once()
    replay = await look(world, replay_id)
    assert replay.row.status == "failed"
    assert replay.row.reason == ("endpoint_disabled" if "disabled" in change else "endpoint_deleted")


async def test_what_cannot_be_replayed(world: World, receiver: Receiver, replays: Replays) -> None:
    engine = world.engine()
    endpoint, _ = await world.endpoint(receiver.url())
    with pytest.raises(NotFound):
        await ask(world, WebhookEndpoint(id=new_uuid()))
    for wish, pointer in (
        ({"event_id": new_uuid()}, "/event_id"),
        ({"since": utcnow() + timedelta(hours=1)}, "/since"),
        ({"since": utcnow(), "until": utcnow() - timedelta(hours=1)}, "/until"),
        ({"until": utcnow() - timedelta(hours=1)}, "/until"),
    ):
        with pytest.raises(Unprocessable) as caught:
            await ask(world, endpoint, **wish)
        assert caught.value.errors[0].pointer == pointer
    [other] = await world.happen(mode="test")
    with pytest.raises(Unprocessable):
        await ask(world, endpoint, event_id=other)
    replay_id = await ask(world, endpoint)
    with pytest.raises(Conflict) as conflict:
        await ask(world, endpoint)
    assert conflict.value.extra == {"replay_id": encode(Prefix.WEBHOOK_REPLAY, replay_id)}
    [event] = await world.happen()
    await ask(world, endpoint, event_id=event)  # one event is no second run through the log
    await finish(world, replays, engine, replay_id)
    await world.database.worker.execute("update webhook_endpoints set status = 'disabled'")
    with pytest.raises(Conflict):
        await ask(world, endpoint)


class Gaps:
    """A receiver's own bookkeeping, as docs/events.md describes it: what it has of each resource."""

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.highest: dict[str, int] = defaultdict(int)

    def take(self, event: dict[str, Any]) -> None:
        resource = event["resource_id"]
        self.seen[resource].add(event["sequence"])
        self.highest[resource] = max(self.highest[resource], event["sequence"])
        previous = event["previous_sequence"]
        assert previous == (event["sequence"] - 1 or None)

    def missing(self) -> dict[str, set[int]]:
        found = {
            resource: set(range(1, highest + 1)) - self.seen[resource] for resource, highest in self.highest.items()
        }
        return {resource: gaps for resource, gaps in found.items() if gaps}


@pytest.fixture
async def running(world: World, replays: Replays) -> AsyncIterator[WebhookEngine]:
    engine = world.engine(poll=timedelta(seconds=0.2), retry_scale=1.0)
    tasks = [asyncio.create_task(engine.run()), asyncio.create_task(replays.run())]
    try:
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_receiver_that_was_down_for_an_hour_asks_once_and_misses_nothing(
    world: World, receiver: Receiver, running: WebhookEngine
) -> None:
    """Engine and replays run as a worker runs them. The outage: first it answers 503, then the endpoint is switched
    off, then events go on while nobody is told. Then one request, and the receiver's own bookkeeping shows no gap."""
    endpoint, secret = await world.endpoint(receiver.url(), ("email.*",))
    gaps, down = Gaps(), False

    async def keep_books(request: Received) -> web.Response:
        request.verify(secret)
        if down:
            return web.Response(status=503)
        gaps.take(request.event)
        return web.Response(status=204)

    receiver.answers["/hook"] = keep_books
    resources = [new_uuid() for _ in range(20)]
    sequence = 0

    async def a_while() -> None:
        nonlocal sequence
        sequence += 1
        async with world.database.worker.acquire() as connection, connection.transaction():
            for resource in resources:
                await make_event(
                    connection, world.tenant.id, world.tenant.workspace_id, resource, {}, sequence=sequence
                )
        world.doorbell.ring(EVENTS)

    async def until(condition: Any) -> None:
        async with asyncio.timeout(30):
            while not await condition():
                await asyncio.sleep(0.02)

    async def counted(condition: str, least: int) -> bool:
        query = f"select count(*) from webhook_deliveries where {condition}"
        return bool(await world.database.worker.fetchval(query) >= least)

    async def switch(status: str) -> None:
        service = webhook_endpoints(BOX, WebhookSettings(allow_private=True))
        async with world.database.tenant(world.tenant.id) as session:
            await service.update(session, world.tenant.principal(), endpoint.id, {"status": status})
        world.doorbell.ring(WEBHOOKS)

    await a_while()
    await a_while()
    await until(lambda: counted("status = 'delivered'", 40))
    down = True
    outage = utcnow()
    await a_while()
    await until(lambda: counted("status = 'pending' and last_error is not null", 1))
    await switch("disabled")
    await a_while()
    await a_while()
    await until(_caught_up(world))
    down = False
    await switch("enabled")
    await a_while()  # the first events after the outage: now the receiver sees that something is missing
    await until(lambda: _seen(gaps, sequence))
    assert len(gaps.missing()) == 20
    assert all({4, 5} <= missing for missing in gaps.missing().values())

    replay_id = await ask(world, endpoint, since=outage)
    world.doorbell.ring(REPLAYS)

    async def ended() -> bool:
        return (await look(world, replay_id)).row.finished_at is not None

    await until(ended)
    replay = await look(world, replay_id)
    assert replay.row.status == "completed"
    assert gaps.missing() == {}
    assert len(gaps.seen) == 20
    assert all(seen == set(range(1, sequence + 1)) for seen in gaps.seen.values())
    assert replay.outcomes == {"delivered": replay.row.created + replay.row.resent}


async def _seen(gaps: Gaps, sequence: int) -> bool:
    return len(gaps.highest) == 20 and all(highest == sequence for highest in gaps.highest.values())


def _caught_up(world: World) -> Any:
    """The fan-out has seen all that is there: the events of the outage will not be owed by it any more."""

    async def look() -> bool:
        unseen = await world.database.worker.fetchval(
            "select count(*) from events e, consumer_cursors c where c.consumer = 'webhooks' "
            "and (c.new is not null or not pg_visible_in_snapshot(e.xid, c.old))"
        )
        return bool(unseen == 0)

    return look


async def test_an_endpoint_that_keeps_an_order_gets_the_order_of_the_log(
    world: World, receiver: Receiver, replays: Replays
) -> None:
    """Also with what happens meanwhile: a fresh event waits for those before it."""
    engine = world.engine()
    before = [await world.happen() for _ in range(15)]
    endpoint, _ = await world.endpoint(receiver.url())
    await world.database.worker.execute("update webhook_endpoints set fifo = 'endpoint'")
    replay_id = await ask(world, endpoint, since=utcnow() - LONG_AGO)
    await replays.run_once()
    await engine.run_once()
    fresh = [await world.happen() for _ in range(3)]
    await finish(world, replays, engine, replay_id)
    await engine.run_once()
    received = [request.id for request in receiver.requests]
    assert [event for event in received if event in names(*before)] == names(*before)
    assert [event for event in received if event in names(*fresh)] == names(*fresh)
    assert len(received) == 18


async def test_a_payload_filter_holds_for_replays_too(world: World, receiver: Receiver, replays: Replays) -> None:
    """But not for one event that is asked for by its id."""
    engine = world.engine()
    events = await world.happen(4)
    endpoint, _ = await world.endpoint(receiver.url())
    await world.database.worker.execute(
        "update webhook_endpoints set filter = $1, updated_at = now()", {"data.number": {"$gte": 2}}
    )
    replay = await finish(world, replays, engine, await ask(world, endpoint, since=utcnow() - LONG_AGO))
    assert sorted(request.event["data"]["number"] for request in receiver.requests) == [2, 3]
    assert (replay.row.created, replay.row.scanned) == (2, 4)
    await finish(world, replays, engine, await ask(world, endpoint, event_id=events[0]))
    assert receiver.ids()[names([events[0]])[0]] == 1
