"""The whole way: our engine, a real Postfix, a server that refuses, Postfix's report, our door, the recipient."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from typing import Any

import dkim
import pytest

from penguinmails_core.config import BounceSettings
from penguinmails_core.domains.service import txt_lookup
from penguinmails_core.kit import ids
from penguinmails_sender.intake.door import open_door
from penguinmails_sender.intake.intake import BounceIntake
from penguinmails_sender.intake.verp import Verp
from penguinmails_sender.smtpd.received import Received
from penguinmails_sender.transports import SmtpTransport
from tests.fixtures.postfix import Postfix, running_postfix
from tests.sender.engine.world import BOX, DOMAIN, World

RETURN_PATH = "bounces.penguins.example"
KEYS = [f"{selector}._domainkey.{DOMAIN}" for selector in ("pm1", "pm2")]


async def send_by(relay: Postfix, world: World, *addresses: str, **fields: Any) -> list[Any]:
    transport = SmtpTransport("127.0.0.1", relay.port, final=False, tls="off")
    try:
        ids = await world.accept_to(addresses, **fields)
        await world.engine(live=transport, return_path=RETURN_PATH).run_once()
    finally:
        await transport.aclose()
    return ids


async def test_a_refused_recipient_comes_back_as_bounced_and_suppressed(world: World) -> None:
    kept: list[Received] = []
    intake = BounceIntake(world.database.worker, Verp(BOX, RETURN_PATH))
    door = open_door(BounceSettings(_env_file=None, port=0), intake, RETURN_PATH)
    take = door.on_message
    assert take is not None

    def note(received: Received) -> Any:
        kept.append(received)
        return take(received)

    door.on_message = note
    world.inbox.refuse = lambda address: (
        "550 5.1.1 No such mailbox here"
        if address.startswith("gone@")
        else "550 5.7.1 Blocked: your IP is on our list"
        if address.startswith("blocked@")
        else None
    )
    async with (
        door,
        running_postfix(reports=door.port, next_hop=world.inbox.server.port, return_path=RETURN_PATH) as relay,
    ):
        sent = await send_by(relay, world, "ada@example.com", "gone@example.com", "blocked@example.com")
        try:
            await world.until("select count(*) = 2 from bounce_reports")
            await world.until("select true from email_recipients where status = 'bounced' and address like 'gone@%'")
            while not world.inbox.received:
                await asyncio.sleep(0.02)
        except AssertionError:
            pytest.fail(relay.log)

    rows = {row["address"]: row for row in await world.recipients()}
    assert {address: row["status"] for address, row in rows.items()} == {
        "ada@example.com": "sent",
        "gone@example.com": "bounced",
        "blocked@example.com": "bounced",
    }
    gone = rows["gone@example.com"]
    assert (gone["code"], gone["enhanced_code"], gone["reason"]) == (550, "5.1.1", "mailbox_not_found")
    assert "No such mailbox here" in gone["reply"]
    suppressions = await world.rows("select * from suppressions")
    assert [(row["address"], row["reason"]) for row in suppressions] == [("gone@example.com", "hard_bounce")]
    assert await world.rows("select from events where type = 'email.bounced' and resource_id = $1", gone["id"])
    assert await world.rows("select from events where type = 'suppression.created'")

    [arrived] = world.inbox.received
    assert Verp(BOX).read_address(arrived.envelope_sender) is not None
    keys = {name: (await txt_lookup(world.database, name))[0] for name in KEYS}
    assert dkim.verify(arrived.raw, dnsfunc=lambda name, timeout=5: keys[name.decode().rstrip(".")])
    # Every report names the message by its envelope id, and holds the header only.
    names = {ids.encode("msg", message_id) for message_id in sent}
    for received in kept:
        assert received.envelope_sender == ""
        report = message_from_bytes(received.raw)
        assert report.get_content_type() == "multipart/report"
        named = [part["Original-Envelope-Id"] for part in report.walk() if part["Original-Envelope-Id"]]
        assert named
        assert set(named) <= names
        assert b"Hello Ada!" not in received.raw
