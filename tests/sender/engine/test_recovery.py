"""What is left behind by those who died, and what happens while the database is away."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from penguinmails_core.emails.service import cancel_email
from penguinmails_core.kit.ids import new_uuid
from penguinmails_sender.transports import Envelope, Outcome, RecipientResult
from tests.sender.engine.world import Gate, NoTransport, World

LANE = "live/{}/default/other"


class Mute(NoTransport):
    """Takes the message; the answer to the final dot is lost."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        self.envelopes.append(envelope)
        return [RecipientResult(address, Outcome.AMBIGUOUS) for address in envelope.recipients]


class Broken(NoTransport):
    """A transport with a defect, after the message has left."""

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        raise RuntimeError("a defect")


async def abandon(world: World, message_class: str) -> Any:
    """Claim as a worker that dies at once."""
    async with world.database.worker.acquire() as connection, connection.transaction():
        [row] = await world.claim(connection, LANE.format(message_class), [new_uuid()], "dead", timedelta(seconds=60))
    await world.expire_leases()
    return row


@pytest.mark.parametrize("transport", [Mute, Broken])
async def test_a_lost_answer_sends_transactional_mail_again(world: World, transport: type[NoTransport]) -> None:
    await world.accept()
    await world.engine(live=transport()).run_once()
    row = await world.recipient()
    assert (row["status"], row["reason"]) == ("deferred", "outcome_unknown")
    await world.hurry()
    await world.engine().run_once()
    assert [row["outcome"] for row in await world.attempts()] == ["ambiguous", "delivered"]
    assert await world.story() == ["queued", "delivery_delayed", "sent", "delivered"]


@pytest.mark.parametrize("transport", [Mute, Broken])
async def test_a_lost_answer_ends_campaign_mail(world: World, transport: type[NoTransport]) -> None:
    await world.accept(message_class="campaign")
    await world.engine(live=transport()).run_once()
    row = await world.recipient()
    assert (row["status"], row["reason"], row["due_at"]) == ("failed", "outcome_unknown", None)
    assert await world.story() == ["queued", "failed"]
    assert [row["outcome"] for row in await world.attempts()] == ["ambiguous"]
    assert await world.engine(live=NoTransport()).run_once() == 0


async def test_a_dead_workers_transactional_mail_is_taken_over(world: World) -> None:
    await world.accept()
    await abandon(world, "transactional")
    await world.engine(name="two").run_once()
    assert len(world.inbox.received) == 1
    assert await world.story() == ["queued", "delivery_delayed", "sent", "delivered"]
    assert [(row["worker"], row["outcome"]) for row in await world.attempts()] == [
        ("dead", "ambiguous"),
        ("two", "delivered"),
    ]


async def test_a_dead_workers_campaign_mail_is_given_up(world: World) -> None:
    await world.accept(message_class="campaign")
    await abandon(world, "campaign")
    await world.engine(live=NoTransport(), name="two").run_once()
    assert await world.story() == ["queued", "failed"]
    assert (await world.recipient())["reason"] == "outcome_unknown"


async def test_a_held_lease_is_left_alone(world: World) -> None:
    await world.accept()
    async with world.database.worker.acquire() as connection, connection.transaction():
        await world.claim(connection, LANE.format("transactional"), [new_uuid()], "alive", timedelta(seconds=60))
    assert await world.engine(live=NoTransport(), name="two").run_once() == 0
    assert (await world.recipient())["status"] == "sending"


@pytest.mark.parametrize("message_class", ["transactional", "campaign"])
async def test_a_late_success_overrules_the_takeover(world: World, message_class: str) -> None:
    """The first worker was only slow. What it knows is better than what the second one assumed; nothing is doubled."""
    gate = Gate(world.smtp)
    await world.accept(message_class=message_class)
    slow = world.engine(live=gate)
    task = asyncio.create_task(slow.run_once())
    await gate.entered.acquire()
    await world.expire_leases()
    assert await world.engine(name="two").take_over_once() == 1
    gate.open.set()
    await task
    assert await world.engine(name="two").run_once() == 0
    assert len(world.inbox.received) == 1
    row = await world.recipient()
    assert (row["status"], row["due_at"], row["reason"]) == ("delivered", None, None)
    assert [row["outcome"] for row in await world.attempts()] == ["delivered"]
    between = "delivery_delayed" if message_class == "transactional" else "failed"
    assert await world.story() == ["queued", between, "sent", "delivered"]


async def test_a_late_result_does_not_disturb_the_next_attempt(world: World) -> None:
    gate = Gate(world.smtp)
    await world.accept()
    task = asyncio.create_task(world.engine(live=gate).run_once())
    await gate.entered.acquire()
    await world.expire_leases()
    await world.engine(name="two").run_once()
    gate.open.set()
    await task
    assert await world.story() == ["queued", "delivery_delayed", "sent", "delivered"]
    assert [row["outcome"] for row in await world.attempts()] == ["delivered", "delivered"]


@pytest.mark.parametrize("message_class", ["transactional", "campaign"])
async def test_a_lost_answer_after_the_takeover_says_nothing_new(world: World, message_class: str) -> None:
    gate = Gate(Mute())
    await world.accept(message_class=message_class)
    task = asyncio.create_task(world.engine(live=gate).run_once())
    await gate.entered.acquire()
    await world.expire_leases()
    await world.engine(name="two").take_over_once()
    before = await world.story()
    gate.open.set()
    await task
    assert await world.story() == before


async def test_a_cancel_after_the_takeover_stands(world: World) -> None:
    [message_id] = await world.accept()
    await abandon(world, "transactional")
    await world.engine().take_over_once()
    async with world.database.tenant(world.tenant.id) as session:
        await cancel_email(session, world.tenant.principal(), message_id)
    assert await world.engine(live=NoTransport()).run_once() == 0
    assert await world.story() == ["queued", "delivery_delayed", "cancelled"]


async def test_leases_are_extended_while_smtp_takes_its_time(world: World) -> None:
    gate = Gate(world.smtp)
    await world.accept()
    slow = world.engine(live=gate, lease=timedelta(seconds=1))
    async with world.running(slow):
        await gate.entered.acquire()
        first = (await world.attempts())[0]["lease_until"]
        await world.until("select lease_until > $1::timestamptz + interval '1 second' from email_attempts", first)
        assert await world.engine(name="two").take_over_once() == 0
        gate.open.set()
        await world.until("select count(*) > 0 from email_recipients where status = 'delivered'")
    assert len(world.inbox.received) == 1


async def test_smtp_never_starts_on_a_lease_that_is_gone(world: World) -> None:
    """A worker that was stopped for a while finds its claim taken over: it must not send, and must not believe that
    extending the lease brings it back."""
    await world.accept(message_class="campaign")
    engine = world.engine(live=NoTransport())
    loading = asyncio.Event()
    proceed = asyncio.Event()
    load_many = world.content.load_many

    async def stalled(keys: Any, **options: Any) -> Any:
        loading.set()
        await proceed.wait()
        return await load_many(keys, **options)

    world.content.load_many = stalled  # type: ignore[method-assign]
    try:
        task = asyncio.create_task(engine.run_once())
        await loading.wait()
        await world.expire_leases()
        assert await world.engine(name="two").take_over_once() == 1
        await engine.extend_leases()
        proceed.set()
        await task
    finally:
        world.content.load_many = load_many  # type: ignore[method-assign]
    # It was not sent, and that is certain: so it goes back to the queue, and is sent once.
    row = await world.recipient()
    assert (row["status"], row["reason"]) == ("deferred", None)
    assert await world.engine().run_once() == 1
    assert len(world.inbox.received) == 1


async def terminate(world: World) -> None:
    """What a restart of PostgreSQL looks like from here: every connection of the workers ends at once."""
    admin = await asyncpg.connect(world.database.dsn)
    try:
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'penguinmails worker' and datname = current_database()"
        )
    finally:
        await admin.close()


async def test_no_result_is_lost_when_the_database_goes_away(world: World) -> None:
    gate = Gate(world.smtp)
    await world.accept_to([f"ada{n}@example.com" for n in range(20)], message_class="campaign")
    engine = world.engine(live=gate)
    async with world.running(engine):
        for _ in range(20):
            await gate.entered.acquire()
        gate.open.set()
        for _ in range(5):
            await terminate(world)
            await asyncio.sleep(0.02)
        await world.until("select count(*) = 20 from email_recipients where status = 'delivered'")
    assert set(world.inbox.message_ids().values()) == {1}
    assert len(world.inbox.received) == 20


async def test_results_wait_for_a_database_that_refuses(world: World) -> None:
    """Nothing new is claimed while results pile up, and all of them are written in the end."""
    await world.accept_to([f"ada{n}@example.com" for n in range(30)], message_class="campaign")
    admin = await asyncpg.connect(world.database.dsn)
    try:
        async with world.running(world.engine(claim_size=5)):
            await world.until("select count(*) > 0 from email_recipients where status = 'delivered'")
            await admin.execute("revoke insert on events from penguinmails_worker")
            await asyncio.sleep(0.5)
            stuck = len(world.inbox.received)
            await admin.execute("grant insert on events to penguinmails_worker")
            await world.until("select count(*) = 30 from email_recipients where status = 'delivered'")
    finally:
        await admin.execute("grant insert on events to penguinmails_worker")
        await admin.close()
    assert stuck <= 30
    assert set(world.inbox.message_ids().values()) == {1}


async def test_a_claim_whose_commit_was_not_confirmed_is_taken_back(world: World) -> None:
    """The connection dies with the commit's answer. Nothing of this claim was sent, and we know it: campaign mail goes
    back to the queue instead of being given up."""
    await world.accept(message_class="campaign")
    engine = world.engine()
    attempt = new_uuid()
    async with world.database.worker.acquire() as connection, connection.transaction():
        await world.claim(connection, LANE.format("campaign"), [attempt], "one", timedelta(seconds=60))
    engine.unconfirmed.append(attempt)  # as the claim does when the database goes away
    assert await engine.run_once() == 1
    assert len(world.inbox.received) == 1
    assert await world.story() == ["queued", "sent", "delivered"]


async def test_stopping_finishes_what_is_claimed(world: World) -> None:
    await world.accept_to([f"ada{n}@example.com" for n in range(100)])
    gate = Gate(world.smtp)
    engine = world.engine(live=gate, claim_size=30)
    task = asyncio.create_task(engine.run())
    await gate.entered.acquire()
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0.1)
    assert not stopping.done()
    gate.open.set()
    await stopping
    await asyncio.wait_for(task, 1)
    statuses = {row["status"] for row in await world.recipients()}
    assert statuses <= {"queued", "delivered"}
    assert len(world.inbox.received) == len([r for r in await world.recipients() if r["status"] == "delivered"]) > 0
