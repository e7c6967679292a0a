"""One message through every boundary: the process is killed exactly there, started again, and everything is counted.

The instants are made with what the process waits for: a table lock held by the test, a silent SMTP server, a webhook
receiver that does not answer. Nothing in the product knows of these tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from penguinmails_core.kit import ids
from tests.crash.processes import CrashWorld

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("crash"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
CLASSES = ("transactional", "campaign")


@asynccontextmanager
async def locked(world: CrashWorld, table: str) -> AsyncIterator[asyncpg.Connection]:
    """Holds the table so that whoever writes to it next waits; yields the connection that knows who waits."""
    lock = await asyncpg.connect(world.stack.database_url)
    observer = await asyncpg.connect(world.stack.database_url)
    try:
        await lock.execute(f"begin; lock table {table} in exclusive mode")
        yield observer
    finally:
        if not lock.is_closed():
            await lock.execute("rollback")
            await lock.close()
        await observer.close()


async def until_blocked(observer: asyncpg.Connection, application: str, doing: str = "") -> None:
    """Wait until a session of that application waits for a lock, in a statement that holds `doing`."""
    query = (
        "select count(*) from pg_stat_activity where application_name like $1 and wait_event_type = 'Lock' "
        "and datname = current_database() and query ilike $2"
    )
    for _ in range(600):
        if await observer.fetchval(query, f"%{application}%", f"%{doing}%"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody waits for the lock as {application}")


async def end_sessions(observer: asyncpg.Connection, application: str) -> None:
    """The server side of a killed process would still finish its statement, and commit it, once the lock is gone."""
    await observer.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", application
    )


async def final_status(world: CrashWorld, email_id: str) -> Any:
    """The recipient's row once it is final."""
    connection = await asyncpg.connect(world.stack.database_url)
    try:
        for _ in range(600):
            row = await connection.fetchrow(
                "select status, reason, attempts from email_recipients where message_id = $1",
                ids.decode("msg", email_id),
            )
            if row is not None and row["status"] in ("delivered", "failed", "bounced"):
                return row
            await asyncio.sleep(0.05)
        raise AssertionError(f"the message has no final state: {dict(row) if row else row}")
    finally:
        await connection.close()


async def told(world: CrashWorld, email_id: str, event_type: str) -> None:
    for _ in range(600):
        if event_type in world.receiver.by_email[email_id]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the webhook never heard {event_type}; it heard {world.receiver.by_email[email_id]}")


async def expect(world: CrashWorld, email_id: str, status: str, copies: int) -> None:
    row = await final_status(world, email_id)
    assert row["status"] == status, dict(row)
    assert world.sink.copies[email_id] == copies
    await told(world, email_id, f"email.{status}")
    if status == "failed":
        assert row["reason"] == "outcome_unknown"


async def test_every_boundary(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs the steps one after another in one world: each leaves it as it was."""
    async with CrashWorld() as world:
        for message_class in CLASSES:
            for step in (
                killed_while_accepting,
                killed_while_claiming,
                killed_before_the_greeting,
                killed_after_the_final_dot,
                killed_before_the_result_is_written,
                killed_while_the_webhook_waits,
                killed_while_fanning_out,
            ):
                await step(world, message_class, f"{step.__name__}-{message_class}")
                with capsys.disabled():
                    print(f"\n  {message_class:<14} {step.__name__}: as promised", end="")


async def killed_while_accepting(world: CrashWorld, message_class: str, name: str) -> None:
    """Before the commit nothing is stored; the same key then gets the message accepted, once."""
    async with locked(world, "email_messages") as observer:
        task = asyncio.create_task(world.post("/v1/emails", world.email(name, message_class), name))
        await until_blocked(observer, "penguinmails ingest")
        await world.api.kill()
        await end_sessions(observer, "penguinmails ingest")
    connection = await asyncpg.connect(world.stack.database_url)
    try:
        query = "select count(*) from email_messages where subject = $1"
        assert await connection.fetchval(query, f"Message {name}") == 0
        await world.api.start()
        answer = await task
        assert await connection.fetchval(query, f"Message {name}") == 1
    finally:
        await connection.close()
    await world.worker.start()
    await expect(world, answer["id"], "delivered", 1)
    await world.worker.stop()


async def killed_while_claiming(world: CrashWorld, message_class: str, name: str) -> None:
    """The claim rolled back: the message is due as before and is sent once."""
    answer = await world.post("/v1/emails", world.email(name, message_class), name)
    async with locked(world, "email_attempts") as observer:
        await world.worker.start()
        await until_blocked(observer, "penguinmails worker", "r.lane = q.lane")
        await world.worker.kill()
        await end_sessions(observer, "penguinmails worker")
    await world.worker.start()
    await expect(world, answer["id"], "delivered", 1)
    await world.worker.stop()


async def killed_before_the_greeting(world: CrashWorld, message_class: str, name: str) -> None:
    """The attempt row is written, nothing was sent; nobody can know that, so the class decides."""
    port = world.sink.server.port
    await world.sink.server.stop()
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", port)
    try:
        answer = await world.post("/v1/emails", world.email(name, message_class), name)
        await world.worker.start()
        await asyncio.wait_for(reached.wait(), 30)
        await world.worker.kill()
    finally:
        server.close()
        await server.wait_closed()
    await world.sink.server.start()
    assert world.sink.server.port == port
    await world.worker.start()
    if message_class == "transactional":
        await expect(world, answer["id"], "delivered", 1)
    else:
        await expect(world, answer["id"], "failed", 0)
    await world.worker.stop()


async def killed_after_the_final_dot(world: CrashWorld, message_class: str, name: str) -> None:
    """The far side has the message and its answer is lost: at least once, or at most once."""
    port = world.sink.server.port
    await world.sink.server.stop()
    taken = asyncio.Event()
    server = await asyncio.start_server(_mute_after_data(world, taken), "127.0.0.1", port)
    try:
        answer = await world.post("/v1/emails", world.email(name, message_class), name)
        await world.worker.start()
        await asyncio.wait_for(taken.wait(), 30)
        await world.worker.kill()
    finally:
        server.close()
        await server.wait_closed()
    await world.sink.server.start()
    world.sink.copies[answer["id"]] += 1  # the mute server took it
    await world.worker.start()
    if message_class == "transactional":
        await expect(world, answer["id"], "delivered", 2)
    else:
        await expect(world, answer["id"], "failed", 1)
    await world.worker.stop()


def _mute_after_data(world: CrashWorld, taken: asyncio.Event) -> Any:
    """An SMTP server that takes a message and never says so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mute ESMTP\r\n")
        try:
            while line := await reader.readline():
                command = line[:4].upper()
                if command == b"EHLO":
                    writer.write(b"250-mute\r\n250 PIPELINING\r\n")
                elif command == b"DATA":
                    writer.write(b"354 go\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    taken.set()
                    await reader.read()
                else:
                    writer.write(b"250 ok\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return serve


async def killed_before_the_result_is_written(world: CrashWorld, message_class: str, name: str) -> None:
    """Sent and acknowledged, but not yet written down: as if the answer had been lost."""
    answer = await world.post("/v1/emails", world.email(name, message_class), name)
    # A claim tells no event and a result does, so this lock lets the mail out and holds its result.
    async with locked(world, "events") as observer:
        await world.worker.start()
        await until_blocked(observer, "penguinmails worker", "with d as materialized")
        await world.worker.kill()
        await end_sessions(observer, "penguinmails worker")
    assert world.sink.copies[answer["id"]] == 1
    await world.worker.start()
    if message_class == "transactional":
        await expect(world, answer["id"], "delivered", 2)
    else:
        await expect(world, answer["id"], "failed", 1)
    await world.worker.stop()


async def killed_while_the_webhook_waits(world: CrashWorld, message_class: str, name: str) -> None:
    """The receiver has the event, the worker never heard back: it comes again with the same id."""
    world.receiver.hold = asyncio.Event()
    world.receiver.called.clear()
    answer = await world.post("/v1/emails", world.email(name, message_class), name)
    await world.worker.start()
    await asyncio.wait_for(world.receiver.called.wait(), 30)
    await world.worker.kill()
    world.receiver.hold.set()
    world.receiver.hold = None
    await world.worker.start()
    await told(world, answer["id"], "email.queued")
    await final_status(world, answer["id"])
    await world.worker.stop()


async def killed_while_fanning_out(world: CrashWorld, message_class: str, name: str) -> None:
    """Cursor and deliveries move together: an event is owed once, neither skipped nor doubled."""
    answer = await world.post("/v1/emails", world.email(name, message_class), name)
    async with locked(world, "webhook_deliveries") as observer:
        await world.worker.start()
        await until_blocked(observer, "penguinmails worker", "insert into webhook_deliveries")
        await world.worker.kill()
        await end_sessions(observer, "penguinmails worker")
    await world.worker.start()
    await told(world, answer["id"], "email.queued")
    await final_status(world, answer["id"])
    connection = await asyncpg.connect(world.stack.database_url)
    try:
        doubled = await connection.fetchval(
            "select count(*) from (select event_id from webhook_deliveries group by event_id having count(*) > 1) d"
        )
        assert doubled == 0
    finally:
        await connection.close()
    await world.worker.stop()
