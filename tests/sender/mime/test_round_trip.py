"""Whatever is built is read back by the standard library without a defect, every header and body as it was given."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.header import decode_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.utils import getaddresses

from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_core.kit.addresses import to_ascii
from penguinmails_sender.message import Mailbox, OutgoingMessage
from penguinmails_sender.mime import build
from tests.sender import strategies


def parse(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def defects(parsed: EmailMessage) -> Iterator[object]:
    for part in parsed.walk():
        yield from part.defects
        for value in part.values():
            yield from value.defects


def unix(text: str) -> str:
    """Line ends as the parser reports them; the last one belongs to the message, not to the text."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def body_of(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")


def spaced(text: str) -> str:
    """The standard library shortens runs of white space inside encoded words; `exactly` does not."""
    return re.sub(r"[ \t]+", " ", text)


def unspaced(text: str) -> str:
    """In a display name it also adds white space between two encoded words (RFC 2047 §6.2 says to ignore it)."""
    return re.sub(r"[ \t]+", "", text)


def exactly(raw: bytes, name: str) -> str:
    """The value decoded by the older, literal decoder of the standard library."""
    return decoded(exact_value(raw, name))


def exact_value(raw: bytes, name: str) -> str:
    head = raw.partition(b"\r\n\r\n")[0].decode()
    line = next(line for line in re.split(r"\r\n(?![ \t])", head) if line.lower().startswith(f"{name.lower()}:"))
    return re.sub(r"\r\n(?=[ \t])", "", line[len(name) + 2 :])


def decoded(value: str) -> str:
    chunks = decode_header(value)
    return "".join(chunk if isinstance(chunk, str) else chunk.decode(charset or "ascii") for chunk, charset in chunks)


def expected(mailbox: Mailbox) -> tuple[str, str]:
    local, _, domain = mailbox.address.rpartition("@")
    return unspaced(mailbox.name or ""), f"{local}@{to_ascii(domain)}"


def addresses_of(parsed: EmailMessage, name: str) -> list[tuple[str, str]]:
    header = parsed[name]
    if header is None:
        return []
    assert isinstance(header, AddressHeader)
    return [(unspaced(address.display_name), address.addr_spec) for address in header.addresses]


@settings(max_examples=150, deadline=None)
@given(strategies.message, st.booleans())
def test_every_part_comes_back(message: OutgoingMessage, allow_8bit: bool) -> None:
    raw = build(message, allow_8bit=allow_8bit)
    parsed = parse(raw)

    assert list(defects(parsed)) == []
    for name, value in (("Subject", message.subject), *message.headers):
        assert spaced(parsed[name]) == spaced(value)
        assert exactly(raw, name) == value
    assert parsed["message-id"] == f"<{message.message_id}>"
    assert parsed["date"].datetime == message.date.replace(microsecond=0)
    for name, mailboxes in (
        ("from", (message.from_,)), ("to", message.to), ("cc", message.cc), ("reply-to", message.reply_to)
    ):  # fmt: skip
        assert addresses_of(parsed, name) == [expected(mailbox) for mailbox in mailboxes]
    [(name, _)] = getaddresses([exact_value(raw, "From")])
    assert decoded(name) == (message.from_.name or "")
    check_bodies(parsed, message)


def check_bodies(parsed: EmailMessage, message: OutgoingMessage) -> None:
    leaves = [part for part in parsed.walk() if not part.is_multipart()]
    texts = [text for text in (message.text, message.html) if text is not None] or [""]
    for part, text in zip(leaves, texts, strict=False):
        got, wanted = body_of(part), unix(text)
        assert got == wanted or (not parsed.is_multipart() and got == wanted + "\n")
    shown = [item for item in message.attachments if item.content_id and message.html is not None]
    others = [item for item in message.attachments if not (item.content_id and message.html is not None)]
    for part, item in zip(leaves[len(texts) :], [*shown, *others], strict=True):
        assert part.get_payload(decode=True) == item.content
        assert part["content-disposition"].params.get("filename", "") == item.filename
        assert part.get_content_disposition() == ("inline" if item in shown else "attachment")
        assert part["content-id"] == (f"<{item.content_id}>" if item.content_id else None)


@settings(max_examples=150, deadline=None)
@given(strategies.message, st.booleans())
def test_the_octets_are_fit_for_smtp(message: OutgoingMessage, allow_8bit: bool) -> None:
    raw = build(message, allow_8bit=allow_8bit)

    assert raw.endswith(b"\r\n")
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert b"\x00" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert allow_8bit or raw.isascii()
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(line.strip() for line in head.split(b"\r\n")), "a header line of white space only"
    assert not any(line.startswith(b"From ") for line in raw.split(b"\r\n"))
    assert build(message, allow_8bit=allow_8bit) == raw
