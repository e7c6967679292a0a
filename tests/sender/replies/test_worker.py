"""A reply that a real Dovecot is given arrives over IDLE, is threaded to what it answers, judged and told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from penguinmails_core.config import MailboxSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.mailboxes.oauth import OAuthTokens
from penguinmails_core.mailboxes.records import Check
from penguinmails_core.mailboxes.service import Mailboxes
from penguinmails_core.mailboxes.tokens import MailboxTokens
from penguinmails_sender.mailboxes.probe import reach_of
from penguinmails_sender.replies.worker import InboxReader
from tests.fixtures.dovecot import Dovecot, running_dovecot
from tests.sender.engine.world import BOX, World

USER = "hello@acme.test"


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot([USER]) as server:
        yield server


@pytest.fixture
async def mailbox(world: World, dovecot: Dovecot) -> str:
    place = {"host": "127.0.0.1", "tls": "none", "username": None, "password": "pw"}
    asked = dict.fromkeys(("display_name", "signature_html", "signature_text")) | {
        "address": USER,
        "smtp": place | {"port": 1},
        "imap": place | {"port": dovecot.imap},
        "daily_cap": 30,
        "hourly_cap": 10,
        "min_gap_seconds": 0,
        "gap_jitter_seconds": 0,
    }
    async with world.database.tenant(world.tenant.id) as session:
        service = Mailboxes(BOX, allow_private=True)
        row = await service.create(session, world.tenant.principal(), asked, [Check("smtp"), Check("imap")])
        return ids.encode("mbx", row.id)


@pytest.fixture
async def reader(world: World, mailbox: str) -> AsyncIterator[None]:
    settings = MailboxSettings(allow_private=True, timeout=5)
    async with OutgoingHttp(allow_private=True) as http:
        tokens = MailboxTokens(world.database.worker, BOX, OAuthTokens(http, settings))
        reach = reach_of(settings, StaticResolver({}))
        reader = InboxReader(world.database, BOX, tokens, reach, world.bell, "one", look=0.1)
        task = asyncio.create_task(reader.run())
        await world.until("select uidvalidity is not null from mailbox_folders")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def letter(
    number: int, text: str, *, sender: str = "Ada <ada@example.com>", answers: str = "", more: str = ""
) -> bytes:
    head = f"From: {sender}\nTo: {USER}\nSubject: Re: Welcome\nMessage-ID: <{number}@example.com>\n"
    if answers:
        head += f"In-Reply-To: <{answers}>\nReferences: <{answers}>\n"
    return (head + more + "\n" + text).encode()


async def told(world: World, kind: str) -> list[Any]:
    rows = await world.rows("select payload, sequence from events where type = $1 order by sequence", kind)
    return [row["payload"] for row in rows]


async def test_a_reply_is_threaded_judged_and_told(world: World, dovecot: Dovecot, mailbox: str, reader: None) -> None:
    [email_id] = await world.accept(to=["ada@example.com"])
    sent = f"{ids.encode('msg', email_id)}@acme.test"
    words = "Sounds good, tell me more!\n\n-- \nAda\n\nOn Tue, Nov 24, 2026, Penguin wrote:\n> unsubscribe me\n"
    await dovecot.deliver(letter(1, words, answers=sent), USER)
    await dovecot.deliver(letter(2, "private, about dinner"), USER)
    await dovecot.deliver(letter(3, "my own copy", sender=USER, answers=sent), USER)
    away = letter(4, "I am back on 3 December 2026.", answers=sent, more="Auto-Submitted: auto-replied\n")
    await dovecot.deliver(away, USER)
    await dovecot.deliver(letter(1, words, answers=sent), USER)  # again
    await dovecot.deliver(letter(5, "stop", answers="4@example.com"), USER)  # answers an answer
    await world.until("select last_uid >= 6 from mailbox_folders")
    rows = await world.rows("select * from inbox_messages order by id")
    assert [row["message_id"] for row in rows] == ["1@example.com", "4@example.com", "5@example.com"]
    assert [row["reply_class"] for row in rows] == ["interested", "out_of_office", "unsubscribe"]
    assert rows[0]["reply"] == "Sounds good, tell me more!"
    [thread] = await world.rows("select * from inbox_threads")
    assert (thread["email_id"], thread["messages"], thread["interest"]) == (email_id, 3, "unsubscribe")
    events = await told(world, "email.replied")
    assert [event["automatic"] for event in events] == [False, True, False]
    assert {event["thread_id"] for event in events} == {ids.encode("thr", thread["id"])}
    assert events[1]["returns_at"] == "2026-12-03T00:00:00.000Z"
    assert events[0]["email_id"] == ids.encode("msg", email_id)
    [began] = await told(world, "thread.created")
    assert (began["mailbox_id"], began["address"]) == (mailbox, "ada@example.com")


async def test_what_came_while_nobody_read_is_read_once(world: World, dovecot: Dovecot, mailbox: str) -> None:
    [email_id] = await world.accept(to=["ada@example.com"])
    sent = f"{ids.encode('msg', email_id)}@acme.test"
    await dovecot.deliver(letter(1, "before the mailbox was connected", answers=sent), USER)
    settings = MailboxSettings(allow_private=True, timeout=5)
    async with OutgoingHttp(allow_private=True) as http:
        tokens = MailboxTokens(world.database.worker, BOX, OAuthTokens(http, settings))
        for number in (2, 3):
            reach = reach_of(settings, StaticResolver({}))
            reader = InboxReader(world.database, BOX, tokens, reach, world.bell, f"w{number}", look=0.1)
            task = asyncio.create_task(reader.run())
            await world.until("select last_uid >= $1 from mailbox_folders", number - 1)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await dovecot.deliver(letter(number, "now is not the time, next year", answers=sent), USER)
            await world.run_sql("update mailbox_folders set lease_until = now() - interval '1 second'")
    rows = await world.rows("select message_id, reply_class from inbox_messages")
    assert [tuple(row) for row in rows] == [("2@example.com", "not_now")]
