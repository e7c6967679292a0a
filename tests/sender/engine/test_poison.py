"""A message that cannot be sent fails alone, with a reason that an operator understands."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from penguinmails_core.errors import Unavailable
from tests.sender.engine.world import DOMAIN, World


async def others_arrive(world: World, poison: UUID, reason: str) -> Any:
    """Send; everything but `poison` is delivered. Returns its recipient row."""
    await world.engine().run_once()
    for row in await world.recipients():
        expected = "failed" if row["message_id"] == poison else "delivered"
        assert row["status"] == expected, dict(row)
    [row] = await world.rows("select * from email_recipients where message_id = $1", poison)
    assert (row["reason"], row["due_at"]) == (reason, None)
    [event] = await world.rows("select * from events where resource_id = $1 and type = 'email.failed'", row["id"])
    assert event["payload"]["reason"] == reason
    [attempt] = await world.rows("select * from email_attempts where recipient_id = $1", row["id"])
    assert attempt["outcome"] == "failed"
    return row


async def accept_some(world: World) -> UUID:
    await world.accept_to([f"ada{n}@example.com" for n in range(3)])
    [poison] = await world.accept(to=["bob@example.com"], text="the only body of its kind " * 20)
    await world.accept_to([f"cy{n}@example.com" for n in range(3)])
    return poison


async def test_content_that_is_gone(world: World) -> None:
    poison = await accept_some(world)
    await world.run_sql("delete from content.email_content where message_id = $1", poison)
    await others_arrive(world, poison, "content_missing")


async def test_a_body_that_is_gone(world: World) -> None:
    poison = await accept_some(world)
    await world.run_sql("delete from content.blobs where encoding = 'zstd'")
    await others_arrive(world, poison, "content_missing")


async def test_a_body_that_is_damaged(world: World) -> None:
    poison = await accept_some(world)
    await world.run_sql("update content.blobs set data = 'not zstd' where encoding = 'zstd'")
    row = await others_arrive(world, poison, "content_unreadable")
    assert "zstd" not in (row["reason"] or "")


async def test_a_header_that_cannot_be_written(world: World) -> None:
    poison = await accept_some(world)
    await world.run_sql(
        "update content.email_content set headers = jsonb_build_object('X-Bad', E'a\\r\\nBcc: eve@example.com') "
        "where message_id = $1",
        poison,
    )
    await others_arrive(world, poison, "not_sendable")
    assert not any(b"eve@example.com" in message.raw for message in world.inbox.received)


async def test_mail_is_never_sent_unsigned(world: World) -> None:
    """A domain that lost its verification or its keys after the accept."""
    [message_id] = await world.accept()
    await world.run_sql("update domains set status = 'failed' where name = $1", DOMAIN)
    await others_arrive(world, message_id, "domain_not_verified")
    assert world.inbox.received == []


async def test_a_result_that_the_database_refuses_holds_up_nobody(world: World) -> None:
    """A reply that no column can hold: the neighbours' results are written, and the outcome is still known."""
    world.inbox.refuse = lambda address: "550 5.1.1 refuse me" if address.startswith("bob") else None
    admin = await asyncpg.connect(world.database.dsn)
    try:
        await admin.execute(
            "alter table email_recipients add constraint poison check (reply is null or reply not like '%refuse me%')"
        )
        poison = await accept_some(world)
        await world.engine().run_once()
    finally:
        await admin.execute("alter table email_recipients drop constraint poison")
        await admin.close()
    for row in await world.recipients():
        assert row["status"] == ("bounced" if row["message_id"] == poison else "delivered")


@pytest.mark.parametrize("message_class", ["transactional", "campaign"])
async def test_a_content_tier_that_is_away_costs_nothing(world: World, message_class: str) -> None:
    """Nobody is told, nothing fails: the mail goes back and leaves when the tier is there again."""
    await world.accept(message_class=message_class)
    load_many = world.content.load_many

    async def away(keys: Any, **options: Any) -> Any:
        raise Unavailable("away")

    world.content.load_many = away  # type: ignore[method-assign]
    await world.engine().run_once()
    world.content.load_many = load_many  # type: ignore[method-assign]
    row = await world.recipient()
    assert (row["status"], row["reason"]) == ("deferred", None)
    assert await world.story() == ["queued"]
    await world.hurry()
    await world.engine().run_once()
    assert await world.story() == ["queued", "sent", "delivered"]


async def test_large_mail_is_loaded_a_little_at_a_time(world: World) -> None:
    """Memory is bounded by size, not by the number of messages in a claim."""
    await world.accept_to([f"ada{n}@example.com" for n in range(6)], text="x" * 1000)
    await world.run_sql("update email_messages set size_bytes = 20 * 1024 * 1024")
    load_many = world.content.load_many
    loads: list[int] = []

    async def counted(keys: Any, **options: Any) -> Any:
        loads.append(len(keys))
        return await load_many(keys, **options)

    world.content.load_many = counted  # type: ignore[method-assign]
    await world.engine().run_once()
    assert loads == [1] * 6
    assert len(world.inbox.received) == 6


async def test_an_outage_of_the_content_tier_is_no_attempt(world: World) -> None:
    """Mail that was handed back unsent keeps its short waits, and nothing is claimed while the tier stays away."""
    await world.accept()
    content, engine = world.content, world.engine()
    load_many, ready = content.load_many, content.ready

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    content.load_many = away  # type: ignore[method-assign]
    content.ready = away  # type: ignore[method-assign]
    assert await engine.run_once() == 1
    assert await world.database.worker.fetchval("select attempts from email_recipients") == 0
    await world.hurry()
    assert await engine.run_once() == 0, "nothing is claimed only to be handed back"
    content.load_many, content.ready = load_many, ready  # type: ignore[method-assign]
    assert await engine.run_once() == 1
    row = await world.database.worker.fetchrow("select status, attempts from email_recipients")
    assert (row["status"], row["attempts"]) == ("delivered", 1)
