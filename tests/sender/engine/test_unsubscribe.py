"""The way out as it leaves: headers, signature, one copy for each recipient, the same octets on every attempt."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message

import dkim
import pytest

from penguinmails_core.domains.service import txt_lookup
from penguinmails_core.tracking.links import TrackingLinks
from penguinmails_core.unsubscribes.links import Subscriber, UnsubscribeLinks
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.smtpd.received import Received
from tests.sender.engine.world import BOX, DOMAIN, World

LINKS = UnsubscribeLinks(BOX, lambda: "https://mail.penguins.example")
TRACKING = TrackingLinks(BOX, lambda: "https://links.penguins.example")
PERSONAL = Personalizer(LINKS, TRACKING, one_click=True)


def url_of(message: Message) -> str:
    found = re.fullmatch(r"<(https://mail\.penguins\.example/u/[\w-]+)>", "".join(message["List-Unsubscribe"].split()))
    assert found is not None, message["List-Unsubscribe"]
    return found[1]


def subscriber_of(message: Message) -> Subscriber:
    found = LINKS.read(url_of(message).rpartition("/")[2])
    assert found is not None
    return found


async def sent(world: World) -> list[Message]:
    await world.engine(personal=PERSONAL).run_once()
    return [message_from_bytes(received.raw) for received in world.inbox.received]


async def test_campaign_mail_has_a_signed_way_out(world: World) -> None:
    await world.accept(message_class="campaign", unsubscribe={"list": "product-news"})
    [message] = await sent(world)
    recipient = await world.recipient()
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert subscriber_of(message) == Subscriber(world.tenant.id, recipient["id"], "ada@example.com", "product-news")

    raw = world.inbox.received[0].raw
    signed = [name.strip().lower() for name in re.search(r"h=([^;]+);", message["DKIM-Signature"])[1].split(":")]  # type: ignore[index]
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(signed)
    keys = {}
    for selector in re.findall(r"s=(\S+?);", " ".join(message.get_all("DKIM-Signature") or [])):
        name = f"{selector}._domainkey.{DOMAIN}"
        keys[name] = (await txt_lookup(world.database, name))[0]

    def lookup(name: bytes, timeout: float = 5) -> bytes:
        return keys[name.decode().rstrip(".")]

    assert dkim.verify(raw, dnsfunc=lookup)
    for header in (b"List-Unsubscribe:", b"List-Unsubscribe-Post:"):
        with_another = raw.replace(header, header + b" <https://evil.example/>,", 1)
        assert not dkim.verify(with_another, dnsfunc=lookup), header


async def test_transactional_mail_has_none_unless_asked(world: World) -> None:
    await world.accept()
    await world.accept(unsubscribe={})
    plain, asked = sorted(await sent(world), key=lambda message: "List-Unsubscribe" in message)
    assert plain["List-Unsubscribe"] is None
    assert plain["List-Unsubscribe-Post"] is None
    assert subscriber_of(asked).list is None


async def test_each_recipient_gets_a_link_of_their_own(world: World) -> None:
    await world.accept(to=["ada@example.com", "Bob@example.com"], bcc=["eve@example.com"], unsubscribe={})
    messages = await sent(world)
    assert sorted(len(received.recipients) for received in world.inbox.received) == [1, 1, 1]
    for received, message in zip(world.inbox.received, messages, strict=True):
        assert subscriber_of(message).address == received.recipients[0].lower()
        assert "eve@" not in received.raw.decode()
        assert "Bob@example.com" in message["To"]  # everybody still sees who else got it
    assert {row["status"] for row in await world.recipients()} == {"delivered"}


async def test_mail_that_reads_the_same_for_all_stays_in_one_transaction(world: World) -> None:
    await world.accept(to=["ada@example.com", "bob@example.com"])
    await sent(world)
    assert [len(received.recipients) for received in world.inbox.received] == [2]


async def test_the_link_stands_where_the_body_asks_for_it(world: World) -> None:
    html = '<a href="{{ unsubscribe_url }}">out</a> <a href="%7B%7Bunsubscribe_url%7D%7D">out</a> {{name}}'
    await world.accept(text="Leave: {{unsubscribe_url}} \\1", html=html, unsubscribe={})
    [message] = await sent(world)
    text, page = (part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart())  # type: ignore[union-attr]
    url = url_of(message)
    assert text.strip() == f"Leave: {url} \\1"
    assert page.strip() == f'<a href="{url}">out</a> <a href="{url}">out</a> {{{{name}}}}'


async def test_every_attempt_has_the_same_octets(world: World) -> None:
    seen: list[bytes] = []

    def note(received: Received) -> str:
        seen.append(received.raw)
        return "451 4.7.1 later"

    world.inbox.answer = note
    await world.accept(unsubscribe={})
    engine = world.engine(personal=PERSONAL)
    await engine.run_once()
    await world.hurry()
    await engine.run_once()
    first, second = (re.sub(rb"DKIM-Signature:.*?\r\n(?![ \t])", b"", raw, flags=re.DOTALL) for raw in seen)
    assert first == second
    assert b"List-Unsubscribe" in first


@pytest.mark.parametrize("one_click", [True, False])
async def test_without_https_mail_programs_are_not_told_to_post(world: World, one_click: bool) -> None:
    await world.accept(unsubscribe={})
    await world.engine(personal=Personalizer(LINKS, TRACKING, one_click=one_click)).run_once()
    message = message_from_bytes(world.inbox.received[0].raw)
    assert ("List-Unsubscribe-Post" in message) is one_click
    assert "List-Unsubscribe" in message
