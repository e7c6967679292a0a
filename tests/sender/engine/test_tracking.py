"""Tracked mail as it leaves: links and image of each recipient's own, destinations on disk, all else untouched."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message

from penguinmails_core.tracking.links import Target
from penguinmails_sender.smtpd.received import Received
from tests.sender.engine.test_unsubscribe import PERSONAL, TRACKING
from tests.sender.engine.world import World

HTML = '<p>Hi</p><a href="https://acme.example/a?x=1&amp;y=2">A</a> <a href="mailto:a@acme.test">M</a></body>'
LINK = re.compile(r"https://links\.penguins\.example/([to])/([\w-]+)")


async def sent(world: World) -> list[dict[str, str]]:
    """The bodies of each copy, by media type."""
    await world.engine(personal=PERSONAL).run_once()
    return [bodies(message_from_bytes(received.raw)) for received in world.inbox.received]


def bodies(message: Message) -> dict[str, str]:
    found = {}
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found[part.get_content_type()] = payload.decode().replace("\r\n", "\n").rstrip("\n")
    return found


async def test_nothing_is_tracked_unless_asked(world: World) -> None:
    await world.accept(html=HTML, message_class="campaign")
    [body] = await sent(world)
    assert body["text/html"] == HTML
    assert await world.rows("select * from tracked_links") == []


async def test_clicks_and_opens(world: World) -> None:
    text = "See https://acme.example/a"
    await world.accept(html=HTML, text=text, tracking={"opens": True, "clicks": True})
    [body] = await sent(world)
    assert body["text/plain"] == text
    recipient = await world.recipient()
    (kind, click), (image, opened) = LINK.findall(body["text/html"])
    assert (kind, image) == ("t", "o")
    assert TRACKING.read(click) == Target(world.tenant.id, recipient["id"], 0)
    assert TRACKING.read(opened) == Target(world.tenant.id, recipient["id"])
    [row] = await world.rows("select * from tracked_links")
    assert (row["id"], row["urls"]) == (recipient["message_id"], ["https://acme.example/a?x=1&y=2"])
    restored = LINK.sub("https://acme.example/a?x=1&amp;y=2", body["text/html"], count=1)
    assert re.sub(r"<img [^>]*>", "", restored) == HTML


async def test_each_recipient_has_links_of_their_own(world: World) -> None:
    await world.accept(html=HTML, to=["ada@example.com", "bob@example.com"], tracking={"clicks": True})
    found = [TRACKING.read(LINK.findall(body["text/html"])[0][1]) for body in await sent(world)]
    assert {target.recipient_id for target in found if target} == {row["id"] for row in await world.recipients()}
    assert len(await world.rows("select * from tracked_links")) == 1


async def test_the_way_out_is_never_tracked(world: World) -> None:
    html = '<a href="{{unsubscribe_url}}">out</a><a href="https://acme.example">in</a>'
    await world.accept(html=html, message_class="campaign", tracking={"clicks": True})
    [body] = await sent(world)
    assert body["text/html"].count("https://links.penguins.example/t/") == 1
    assert '<a href="https://mail.penguins.example/u/' in body["text/html"]


async def test_plain_text_has_nothing_to_follow(world: World) -> None:
    await world.accept(text="https://acme.example", tracking={"opens": True, "clicks": True})
    [body] = await sent(world)
    assert body == {"text/plain": "https://acme.example"}
    assert (await world.rows("select options from email_messages"))[0]["options"] == {}


async def test_a_second_attempt_has_the_same_links(world: World) -> None:
    seen: list[bytes] = []

    def note(received: Received) -> str:
        seen.append(received.raw)
        return "451 4.7.1 later"

    world.inbox.answer = note
    await world.accept(html=HTML, tracking={"opens": True, "clicks": True})
    engine = world.engine(personal=PERSONAL)
    await engine.run_once()
    await world.hurry()
    await engine.run_once()
    assert len(seen) == 2
    first, second = (bodies(message_from_bytes(raw)) for raw in seen)
    assert first == second
