"""Sending through a mailbox: by its own server, within caps that neither a crash nor a second worker gets around."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any

import pytest

from penguinmails_core.config import MailboxSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.mailboxes.oauth import OAuthTokens
from penguinmails_core.mailboxes.pace import Sent, judge, mailbox_of
from penguinmails_core.mailboxes.records import Check
from penguinmails_core.mailboxes.service import Mailboxes
from penguinmails_core.mailboxes.tokens import MailboxTokens
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.mailboxes.probe import reach_of
from penguinmails_sender.mailboxes.sending import MailboxSender
from tests.fixtures.smtp_auth import running_submission
from tests.sender.engine.world import BOX, NoTransport, World

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "min_gap_seconds": 60,
    "paused_at": None,
    "connection": "connected",
    "hourly_cap": 3,
    "daily_cap": 5,
}


def sent(*minutes_ago: float, weight: int = 1, gap: float = 60) -> list[Sent]:
    moments = [NOW - timedelta(minutes=minutes) for minutes in minutes_ago]
    return [Sent(weight, at, at + timedelta(seconds=gap)) for at in moments]


@pytest.mark.parametrize(
    ("row", "history", "weight", "reason", "seconds"),
    [
        ({}, sent(), 1, None, 0),
        ({}, sent(2), 1, None, 0),
        ({}, sent(0.5), 1, "min_gap", 30),
        ({}, sent(50, 40, 30), 1, "hourly_cap", 600),
        ({}, sent(50, 40, 30), 2, "hourly_cap", 1200),
        ({}, sent(50, weight=3), 1, "hourly_cap", 600),
        ({}, sent(1400, 1300, 1200, 1100, 1000), 1, "daily_cap", 40 * 60),
        ({}, sent(), 4, "hourly_cap", 3600),
        ({"paused_at": NOW}, sent(), 1, "mailbox_paused", 300),
        ({"connection": "disconnected"}, sent(), 1, "mailbox_disconnected", 300),
    ],
)
def test_whose_turn_it_is(
    row: dict[str, Any], history: list[Sent], weight: int, reason: str | None, seconds: float
) -> None:
    wait = judge(ROW | row, history, weight, NOW)
    assert (wait.reason if wait else None) == reason
    assert (wait.seconds if wait else 0) == pytest.approx(seconds)


def test_sources_that_name_no_mailbox() -> None:
    assert mailbox_of("default") is None
    assert mailbox_of("mbx_nonsense") is None


def engine_of(world: World, http: OutgoingHttp, name: str) -> SenderEngine:
    settings = MailboxSettings(allow_private=True, timeout=5)
    tokens = MailboxTokens(world.database.worker, BOX, OAuthTokens(http, settings))
    sender = MailboxSender(world.database, BOX, tokens, reach_of(settings, StaticResolver({})), "localhost")
    return world.engine(live=NoTransport(), name=name, mailboxes=sender)


async def connect(world: World, port: int, **members: Any) -> str:
    asked = {
        "address": "hello@acme.test",
        "smtp": {"host": "127.0.0.1", "port": port, "tls": "none", "username": None, "password": "pw"},
        "display_name": None,
        "signature_html": None,
        "signature_text": None,
        "daily_cap": 30,
        "hourly_cap": 10,
        "min_gap_seconds": 0,
        "gap_jitter_seconds": 0,
    }
    async with world.database.tenant(world.tenant.id) as session:
        service = Mailboxes(BOX, allow_private=True)
        row = await service.create(session, world.tenant.principal(), asked | members, [Check("smtp")])
        return ids.encode("mbx", row.id)


async def test_it_goes_out_by_the_mailboxs_own_server(world: World) -> None:
    with running_submission() as submission:
        source = await connect(world, submission.port)
        await world.accept(source=source)
        async with OutgoingHttp(allow_private=True) as http:
            await engine_of(world, http, "one").run_once()
        [(sender, recipients, message)] = submission.letters
    assert (sender, recipients) == ("hello@acme.test", ["ada@example.com"])
    letter = message_from_bytes(message)
    assert (letter["From"], letter["DKIM-Signature"]) == ("Penguin <hello@acme.test>", None)  # its provider signs
    assert submission.signed_in == ["hello@acme.test"]
    assert (await world.recipient())["status"] == "sent"


async def test_two_workers_do_not_go_beyond_the_cap_and_nothing_is_dropped(world: World) -> None:
    with running_submission() as submission:
        source = await connect(world, submission.port, daily_cap=3, hourly_cap=3)
        await world.accept(count=8, source=source)
        async with OutgoingHttp(allow_private=True) as http:
            engines = [engine_of(world, http, name) for name in ("one", "two")]
            async with world.running(*engines):
                await world.until(
                    "select bool_and(status in ('sent', 'deferred') "
                    "and coalesce(due_at > now() + interval '1 minute', true)) from email_recipients"
                )
            rows = await world.recipients()
            await world.hurry()
            await engines[0].run_once()  # the cap still holds
        assert len(submission.letters) == 3
    waiting = [row for row in rows if row["status"] == "deferred"]
    assert sorted(row["status"] for row in rows) == ["deferred"] * 5 + ["sent"] * 3
    now = datetime.now(UTC)
    assert all(row["due_at"] > now + timedelta(minutes=50) for row in waiting)
    assert all("cap" in row["reply"] for row in waiting)
    assert all(row["attempts"] == 0 for row in waiting)  # waiting is no attempt
    events = await world.rows("select type from events where type like 'email.%' and type <> 'email.queued'")
    assert [row["type"] for row in events] == ["email.sent"] * 3


async def test_a_permission_outlives_a_crash(world: World) -> None:
    """It is on disk before SMTP begins, so what was begun counts, whatever became of it."""
    source = await connect(world, 1, daily_cap=1, hourly_cap=1)
    async with OutgoingHttp(allow_private=True) as http:
        await world.accept(source=source)
        await engine_of(world, http, "one").run_once()
        assert (await world.recipient())["status"] == "deferred"  # nobody listens at that port
        await world.hurry()
        await engine_of(world, http, "two").run_once()
    assert "cap" in (await world.recipient())["reply"]


async def test_a_paused_mailbox_sends_nothing_and_a_deleted_one_fails(world: World) -> None:
    with running_submission() as submission:
        source = await connect(world, submission.port)
        await world.run_sql("update mailboxes set paused_at = now()")
        await world.accept(source=source)
        async with OutgoingHttp(allow_private=True) as http:
            await engine_of(world, http, "one").run_once()
            assert (await world.recipient())["status"] == "deferred"
            await world.run_sql("delete from mailboxes")
            await world.hurry()
            await engine_of(world, http, "one").run_once()
        assert submission.letters == []
    row = await world.recipient()
    assert (row["status"], row["reason"]) == ("failed", "mailbox_deleted")
