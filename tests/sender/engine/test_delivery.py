"""From a due recipient to mail on the far side, and what is on disk afterwards."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy

import dkim
import pytest

from penguinmails_core.domains.service import txt_lookup
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_sender.intake.verp import Kind, Verp
from penguinmails_sender.smtpd.received import Received
from penguinmails_sender.transports import Envelope, Outcome, RecipientResult, SmtpTransport
from tests.sender.engine.world import BOX, DOMAIN, NoTransport, World


async def test_a_message_arrives_signed_and_is_told(world: World) -> None:
    [message_id] = await world.accept(to=["Ada <ada@example.com>"], cc=["bob@example.com"], bcc=["eve@example.com"])
    assert await world.engine().run_once() == 3

    [received] = world.inbox.received
    name = ids.encode("msg", message_id)
    assert received.envelope_sender.endswith(f"@{DOMAIN}")
    token = Verp(BOX).read_address(received.envelope_sender)
    assert token is not None
    assert (token.kind, token.id) == (Kind.MESSAGE, message_id)
    assert sorted(received.recipients) == ["ada@example.com", "bob@example.com", "eve@example.com"]
    parsed = message_from_bytes(received.raw, policy=policy.default)
    assert parsed["Message-ID"] == f"<{name}@{DOMAIN}>"
    assert (parsed["To"], parsed["Cc"]) == ("Ada <ada@example.com>", "bob@example.com")
    assert b"eve@" not in received.raw
    assert parsed.get_content() == "Hello Ada!\r\n"
    names = [f"{selector}._domainkey.{DOMAIN}" for selector in ("pm1", "pm2")]
    records = {f"{name}.": (await txt_lookup(world.database, name))[0] for name in names}
    verifier = dkim.DKIM(received.raw)
    for index in (0, 1):
        assert verifier.verify(index, dnsfunc=lambda name, timeout=5: records[name.decode()])

    for row in await world.recipients():
        assert (row["status"], row["due_at"], row["attempts"], row["code"]) == ("delivered", None, 1, 250)
        assert (row["event_sequence"], row["reason"]) == (3, None)
    for attempt in await world.attempts():
        assert (attempt["outcome"], attempt["number"], attempt["code"]) == ("delivered", 1, 250)
        assert (attempt["tls"], attempt["worker"]) == (False, "one")
        assert attempt["finished_at"] is not None
    events = await world.events()
    assert [row["type"] for row in events] == ["email.queued", "email.sent", "email.delivered"] * 3
    assert [row["sequence"] for row in events] == [1, 2, 3] * 3
    assert {row["organization_id"] for row in events} == {world.tenant.id}
    payload = events[2]["payload"]
    assert payload["email_id"] == name
    assert payload["attempt"] == 1
    assert payload["smtp"]["code"] == 250


async def test_a_smarthost_only_hands_over(world: World) -> None:
    smarthost = SmtpTransport("127.0.0.1", world.inbox.server.port, final=False, tls="off")
    await world.accept()
    try:
        await world.engine(live=smarthost).run_once()
    finally:
        await smarthost.aclose()
    assert await world.story() == ["queued", "sent"]
    assert (await world.recipient())["status"] == "sent"
    assert [row["outcome"] for row in await world.attempts()] == ["sent"]


async def test_one_refused_recipient_leaves_the_others_their_mail(world: World) -> None:
    world.inbox.refuse = lambda address: "550 5.1.1 No such mailbox here" if address.startswith("bob@") else None
    await world.accept(to=["ada@example.com", "bob@example.com"], cc=["cy@example.com"])
    await world.engine().run_once()

    [received] = world.inbox.received
    assert sorted(received.recipients) == ["ada@example.com", "cy@example.com"]
    found = {row["address"]: (row["status"], row["reason"], row["enhanced_code"]) for row in await world.recipients()}
    assert found["bob@example.com"] == ("bounced", "mailbox_not_found", "5.1.1")
    assert found["ada@example.com"][:2] == found["cy@example.com"][:2] == ("delivered", None)
    [suppression] = await world.rows("select * from suppressions")
    assert (suppression["address"], suppression["reason"]) == ("bob@example.com", "hard_bounce")
    assert suppression["evidence"]["enhanced_code"] == "5.1.1"
    assert "No such mailbox here" in suppression["evidence"]["reply"]
    [bounced] = await world.rows("select * from events where type = 'email.bounced'")
    assert (bounced["sequence"], bounced["payload"]["reason"]) == (2, "mailbox_not_found")

    # The same person is not tried again, however the address is written.
    await world.accept(to=["BOB@Example.com"])
    await world.engine().run_once()
    assert len(world.inbox.received) == 1
    assert (await world.rows("select status from email_recipients where address like 'BOB@%'"))[0][0] == "suppressed"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("550 5.7.1 Refused by policy", "policy"),
        ("550 5.7.26 Unauthenticated mail is not accepted", "authentication_failed"),
        ("552 5.2.3 Message too long", "too_big"),
        ("554 Transaction failed", "policy"),
        ("550 5.1.1 Blocked, your address is listed at zen.spamhaus.org", "blocked"),
        ("550 5.2.2 Mailbox is over quota", "mailbox_full"),
    ],
)
async def test_what_is_not_about_the_person_suppresses_nobody(world: World, reply: str, reason: str) -> None:
    world.inbox.refuse = lambda _: reply
    await world.accept()
    await world.engine().run_once()
    assert await world.story() == ["queued", "bounced"]
    assert (await world.recipient())["reason"] == reason
    assert await world.rows("select 1 from suppressions") == []


@pytest.mark.parametrize("reply", ["550 No such user here", "550 5.2.1 This account is disabled", "550 5.1.6 Moved"])
async def test_a_person_who_cannot_be_reached_is_not_written_to_again(world: World, reply: str) -> None:
    """Servers without enhanced status codes say it in words; the answer to RCPT is about one person."""
    world.inbox.refuse = lambda _: reply
    await world.accept()
    await world.engine().run_once()
    [row] = await world.rows("select reason from suppressions")
    assert row["reason"] == "hard_bounce"


async def test_a_delay_says_why(world: World) -> None:
    world.inbox.refuse = lambda _: "451 4.7.1 Greylisted, please try again later"
    await world.accept()
    await world.engine().run_once()
    [event] = await world.rows("select payload from events where type = 'email.delivery_delayed'")
    assert event["payload"]["reason"] == (await world.recipient())["reason"] == "greylisted"


async def test_a_refusal_of_our_own_suppresses_nobody(world: World) -> None:
    """Only what a server said about a mailbox is evidence against it."""

    class Local(NoTransport):
        async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
            return [RecipientResult(a, Outcome.BOUNCED, None, "5.1.3", "cannot be spoken") for a in envelope.recipients]

    await world.accept()
    await world.engine(live=Local()).run_once()
    assert (await world.recipient())["status"] == "bounced"
    assert await world.rows("select 1 from suppressions") == []


async def test_greylisting_then_success_with_the_same_octets(world: World) -> None:
    seen: list[Received] = []

    def grey(message: Received) -> str | None:
        seen.append(message)
        return "451 4.7.1 Try again later" if len(seen) == 1 else None

    world.inbox.answer = grey
    await world.accept()
    engine = world.engine()
    await engine.run_once()
    row = await world.recipient()
    assert (row["status"], row["attempts"], row["code"]) == ("deferred", 1, 451)
    wait = row["due_at"] - utcnow()
    assert timedelta(seconds=40) < wait < timedelta(seconds=73)
    delayed = (await world.events())[-1]
    assert delayed["type"] == "email.delivery_delayed"
    assert delayed["payload"]["next_attempt_at"].startswith(row["due_at"].strftime("%Y-%m-%dT%H:%M"))
    assert await engine.run_once() == 0  # not due yet

    await world.hurry()
    await engine.run_once()
    assert await world.story() == ["queued", "delivery_delayed", "sent", "delivered"]
    assert [row["outcome"] for row in await world.attempts()] == ["deferred", "delivered"]
    first, second = (message_from_bytes(message.raw) for message in seen)
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    assert first.get_payload() == second.get_payload()


async def test_no_answer_at_the_door_is_tried_again(world: World) -> None:
    await world.inbox.server.stop()
    await world.accept()
    await world.engine().run_once()
    row = await world.recipient()
    assert (row["status"], row["code"]) == ("deferred", None)
    assert await world.story() == ["queued", "delivery_delayed"]


async def test_trying_ends_with_the_horizon(world: World) -> None:
    world.inbox.refuse = lambda _: "450 4.2.0 Not now"
    await world.accept()
    await world.run_sql("update email_messages set expires_at = now() + interval '20 seconds'")
    await world.engine().run_once()
    row = await world.recipient()
    assert (row["status"], row["reason"], row["due_at"]) == ("failed", "expired", None)
    assert await world.story() == ["queued", "failed"]
    last = (await world.events())[-1]["payload"]
    assert (last["reason"], last["smtp"]["code"]) == ("expired", 450)


async def test_expired_mail_is_not_sent(world: World) -> None:
    await world.accept()
    await world.run_sql("update email_messages set expires_at = now() - interval '1 second'")
    await world.engine(live=NoTransport()).run_once()
    assert await world.story() == ["queued", "failed"]
    row = await world.recipient()
    assert (row["status"], row["reason"], row["attempts"]) == ("failed", "expired", 0)
    assert await world.attempts() == []


async def test_scheduled_mail_waits(world: World) -> None:
    await world.accept()
    await world.run_sql("update email_recipients set due_at = now() + interval '1 hour'")
    assert await world.engine(live=NoTransport()).run_once() == 0
    await world.hurry()
    assert await world.engine().run_once() == 1
    assert len(world.inbox.received) == 1


async def test_test_mode_opens_no_socket(world: World) -> None:
    await world.accept(
        mode="test",
        to=["ada@example.com", "bounced@example.com", "complained@example.com", "deferred+1@example.com"],
        cc=["suppressed@example.com"],
    )
    await world.engine(live=NoTransport()).run_once()
    assert world.inbox.server.received == 0
    stories: dict[str, list[str]] = {}
    for row in await world.events():
        address = row["payload"]["recipient"]["address"].partition("@")[0]
        stories.setdefault(address, []).append(row["type"].removeprefix("email."))
        assert row["mode"] == "test"
    assert stories == {
        "ada": ["queued", "sent", "delivered"],
        "bounced": ["queued", "bounced"],
        "complained": ["queued", "sent", "delivered", "complained"],
        "deferred+1": ["queued", "delivery_delayed"],
        "suppressed": ["queued", "suppressed"],
    }
    found = {row["address"].partition("@")[0]: row["status"] for row in await world.recipients()}
    assert found["complained"] == "complained"
    assert found["suppressed"] == "suppressed"


async def test_test_mode_knows_no_suppressions(world: World) -> None:
    """Trying `complained@` must not stop a customer's mail, nor a customer's opt-out a developer's try."""
    tried = ["complained@example.com", "bounced@example.com"]
    await world.accept(mode="test", to=tried)
    await world.engine(live=NoTransport()).run_once()
    assert await world.rows("select 1 from suppressions") == []
    await world.accept(to=tried)
    await world.engine().run_once()
    assert sorted(world.inbox.received[0].recipients) == sorted(tried)

    world.inbox.refuse = lambda address: "550 5.1.1 No such mailbox here"
    await world.accept(to=["bob@example.com", "jörg@example.com"])
    await world.engine().run_once()
    assert len(await world.rows("select 1 from suppressions")) == 2
    await world.accept(mode="test", to=["bob@example.com", "jörg@example.com"])
    await world.engine(live=NoTransport()).run_once()
    found = await world.rows(
        "select r.status from email_recipients r join email_messages m on m.id = r.message_id "
        "where m.mode = 'test' and r.address in ('bob@example.com', 'jörg@example.com')"
    )
    assert [row["status"] for row in found] == ["delivered", "delivered"]


async def test_a_bounce_renews_a_suppression_that_has_ended(world: World) -> None:
    """An ended row still holds the address's place; and two bounces of one address may come in one batch."""
    world.inbox.refuse = lambda _: "550 5.1.1 No such mailbox here"
    await world.accept_to(["bob@example.com"])
    await world.engine().run_once()
    await world.run_sql("update suppressions set reason = 'manual', expires_at = now() - interval '1 second'")
    await world.accept_to(["bob@example.com", "Bob@example.com"])
    await world.engine().run_once()
    [row] = await world.rows("select * from suppressions where lifted_at is null")
    assert (row["reason"], row["expires_at"]) == ("hard_bounce", None)
    told = await world.rows("select resource_id from events where type = 'suppression.created' order by id")
    assert len(told) == 2
    assert told[-1]["resource_id"] == row["id"]

    # A suppression in force keeps its own evidence.
    await world.run_sql("update suppressions set reason = 'complaint'")
    await world.accept(to=["bob@example.com"])
    await world.engine(live=NoTransport()).run_once()
    [row] = await world.rows("select reason from suppressions where lifted_at is null")
    assert row["reason"] == "complaint"
