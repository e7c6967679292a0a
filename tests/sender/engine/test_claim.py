"""The claim judges what must not happen any more, and loses no race."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from penguinmails_core.emails.service import cancel_email, reschedule_email
from penguinmails_core.errors import Conflict
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.sending import claim_repository
from tests.sender.engine.world import NoTransport, World

LANE = "live/transactional/default/other"
LEASE = timedelta(seconds=60)


async def suppress(world: World, address: str, **columns: Any) -> None:
    await world.run_sql(
        "insert into suppressions (organization_id, id, address, reason, expires_at, lifted_at) "
        "values ($1, $2, $3, 'unsubscribe', $4, $5)",
        world.tenant.id,
        new_uuid(),
        address,
        columns.get("expires_at"),
        columns.get("lifted_at"),
    )


@pytest.mark.parametrize(
    ("written", "suppressed"),
    [
        ("Ada@Example.com", "ada@example.com"),
        ('"ada"@example.com', "ada@example.com"),
        ("JÖRG@bücher.example", "jörg@xn--bcher-kva.example"),
    ],
)
async def test_an_opt_out_after_the_accept_counts(world: World, written: str, suppressed: str) -> None:
    await world.accept(to=[written])
    await suppress(world, suppressed)
    await world.engine(live=NoTransport()).run_once()
    assert await world.story() == ["queued", "suppressed"]
    row = await world.recipient()
    assert (row["status"], row["reason"], row["due_at"]) == ("suppressed", "suppressed", None)


async def test_an_opt_out_that_ended_does_not_count(world: World) -> None:
    await suppress(world, "ada@example.com", lifted_at=utcnow())
    await suppress(world, "bob@example.com", expires_at=utcnow() - timedelta(seconds=1))
    await world.accept(to=["ada@example.com", "bob@example.com"])
    await world.engine().run_once()
    assert {row["status"] for row in await world.recipients()} == {"delivered"}


async def test_an_opt_out_between_two_attempts_counts(world: World) -> None:
    world.inbox.refuse = lambda _: "450 4.2.0 Not now"
    await world.accept()
    await world.engine().run_once()
    await suppress(world, "ada@example.com")
    await world.hurry()
    await world.engine(live=NoTransport()).run_once()
    assert await world.story() == ["queued", "delivery_delayed", "suppressed"]


async def test_cancel_wins_over_a_claim_that_waits_for_it(world: World) -> None:
    """The cancel holds the row: the claim passes over it, and sees the cancel afterwards."""
    [message_id] = await world.accept()
    async with world.database.tenant(world.tenant.id) as session:
        await cancel_email(session, world.tenant.principal(), message_id)
        assert await world.engine(live=NoTransport()).run_once() == 0
    assert await world.engine(live=NoTransport()).run_once() == 0
    assert await world.story() == ["queued", "cancelled"]


async def test_cancel_loses_to_a_claim_that_holds_the_row(world: World) -> None:
    """The claim holds the row: the cancel waits for it, looks again, and finds nothing to cancel."""
    [message_id] = await world.accept()
    async with world.database.worker.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        [row] = await world.claim(connection, LANE, [new_uuid()], "other", LEASE)
        assert row["verdict"] == "sending"

        async def cancel() -> None:
            async with world.database.tenant(world.tenant.id) as session:
                await cancel_email(session, world.tenant.principal(), message_id)

        task = asyncio.create_task(cancel())
        await world.until_somebody_waits_for_a_lock()
        await transaction.commit()
        with pytest.raises(Conflict):
            await task
    assert (await world.recipient())["status"] == "sending"
    assert await world.story() == ["queued"]


@asynccontextmanager
async def pause_between_snapshot_and_lock(world: World) -> AsyncIterator[asyncpg.Connection]:
    """While the yielded connection holds advisory lock 1, a worker's statement stops in the middle of its scan: the
    row-level security of `worker` is asked for every row, and here it waits before it says yes."""
    owner = await asyncpg.connect(world.database.dsn)
    try:
        await owner.execute(
            """
            create function test_gate() returns boolean language plpgsql volatile as
              $$ begin perform pg_advisory_xact_lock_shared(1); return true; end $$;
            alter policy penguinmails_worker on email_recipients using (test_gate());
            select pg_advisory_lock(1);
            """
        )
        yield owner
    finally:
        await owner.execute(
            """
            select pg_advisory_unlock_all();
            alter policy penguinmails_worker on email_recipients using (true);
            drop function test_gate();
            """
        )
        await owner.close()


async def test_a_claim_reads_the_row_that_it_locked(world: World) -> None:
    """A change that commits between the claim's snapshot and its lock must not leave two events of one number."""
    [message_id] = await world.accept()

    async def claim() -> list[Any]:
        async with world.database.worker.acquire() as connection, connection.transaction():
            return await world.claim(connection, LANE, [new_uuid()], "one", LEASE)

    async with pause_between_snapshot_and_lock(world) as owner:
        task = asyncio.create_task(claim())
        await world.until_somebody_waits_for_a_lock()
        async with world.database.tenant(world.tenant.id) as session:
            await reschedule_email(session, world.tenant.principal(), message_id, utcnow() - timedelta(seconds=30))
        await owner.execute("select pg_advisory_unlock(1)")
        [row] = await task
    assert row["event_sequence"] == 2


async def test_two_engines_send_each_message_once(world: World) -> None:
    await world.accept_to([f"ada{n}@example.com" for n in range(200)])
    engines = [world.engine(name=name, claim_size=7) for name in ("one", "two")]
    async with world.running(*engines):
        await world.until("select count(*) = 200 from email_recipients where status = 'delivered'")
    counts = world.inbox.message_ids()
    assert len(counts) == 200
    assert set(counts.values()) == {1}
    workers = Counter(row["worker"] for row in await world.attempts())
    assert sum(workers.values()) == 200
    assert min(workers["one"], workers["two"]) > 0


async def test_a_busy_lane_does_not_hold_up_the_others(world: World) -> None:
    """A campaign of hundreds, and one message each in other lanes: they leave with the first claims, not the last."""
    await world.accept_to([f"ada{n}@example.com" for n in range(300)], message_class="campaign")
    await world.accept_to(["bob@gmail.com"], message_class="campaign")
    await world.accept_to(["cy@outlook.com"])
    engine = world.engine(claim_size=10)
    assert await engine.run_once() == 7  # one, and one claim that the two campaign queues share evenly
    sent = {address for message in world.inbox.received for address in message.recipients}
    assert {"bob@gmail.com", "cy@outlook.com"} <= sent
    first = await world.rows(
        "select r.address from email_attempts a join email_recipients r on r.id = a.recipient_id order by a.started_at"
    )
    assert first[0]["address"] == "cy@outlook.com"  # transactional first


async def test_a_saturated_engine_still_serves_every_lane(world: World) -> None:
    """With urgent mail always waiting, and room for one claim at a time, campaigns still move."""
    urgent = ("gmail.com", "example.com")
    await world.accept_to([f"ada{n}@{domain}" for n in range(100) for domain in urgent])
    await world.accept_to([f"bob{n}@gmail.com" for n in range(5)], message_class="campaign")
    engine = world.engine(claim_size=10)
    engine.most_open = 1
    for _ in range(7):
        assert await engine.run_once() == 10 or len(await world.attempts()) % 10 == 5
    waiting = await world.rows("select lane, count(*) from email_recipients where due_at is not null group by lane")
    left = dict(waiting)
    assert set(left) == {"live/transactional/default/google", "live/transactional/default/other"}
    assert max(left.values()) - min(left.values()) <= 10  # equals take turns


async def test_lanes_are_found_without_reading_the_queue(world: World) -> None:
    await world.accept_to([f"ada{n}@{domain}" for n in range(50) for domain in ("gmail.com", "example.com")])
    found = await claim_repository.queues(world.database.worker)
    assert [(row["lane"], row["organization_id"]) for row in found] == [
        ("live/transactional/default/google", world.tenant.id),
        ("live/transactional/default/other", world.tenant.id),
    ]
    assert all(row["wait"] <= 0 for row in found)


@pytest.mark.parametrize(
    ("scope", "value", "sent"),
    [
        ("organization", "", set()),
        ("category", "campaign", {"receipt"}),
        ("category", "transactional", {"letter", "offer"}),
        ("list", "news", {"receipt", "offer"}),
    ],
)
async def test_what_is_suppressed_is_what_was_left(world: World, scope: str, value: str, sent: set[str]) -> None:
    for address in ("ada@example.com", "bücher@example.com"):
        await world.run_sql(
            "insert into suppressions (organization_id, id, address, reason, scope, scope_value) "
            "values ($1, $2, $3, 'unsubscribe', $4, $5)",
            world.tenant.id,
            new_uuid(),
            address,
            scope,
            value,
        )
        await world.accept(to=[address], subject="receipt")
        await world.accept(to=[address], subject="letter", message_class="campaign", unsubscribe={"list": "news"})
        await world.accept(to=[address], subject="offer", message_class="campaign")
    await world.engine().run_once()
    rows = await world.rows(
        "select m.subject, r.status from email_recipients r join email_messages m on m.id = r.message_id"
    )
    assert len(rows) == 6
    assert {row["subject"] for row in rows if row["status"] != "suppressed"} == sent
    assert sum(row["status"] == "suppressed" for row in rows) == 6 - 2 * len(sent)
