"""A raw message as a person reads it: decoded headers, text, HTML, attachments.

Mail from a program under development is often broken, so nothing here raises: what cannot be decoded is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import compat32
from email.utils import collapse_rfc2231_value

_SEARCH_BYTES = 256 * 1024  # of the raw message
_SEARCH_CHARACTERS = 20_000
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_MAX_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class Summary:
    """The three header fields of a list; empty when absent."""

    sender: str
    to: str
    subject: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not one of the two bodies. `content_id` is without angle brackets, empty when absent."""

    index: int
    filename: str
    content_type: str
    content: bytes
    content_id: str


@dataclass(frozen=True, slots=True)
class MessageView:
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None
    attachments: list[Attachment]


def summarize(raw: bytes) -> Summary:
    message = BytesHeaderParser(policy=compat32).parsebytes(raw[:_SEARCH_BYTES])
    headers = decoded_headers(message)

    def first(name: str) -> str:
        return next((value for header, value in headers if header.lower() == name), "")

    return Summary(sender=first("from"), to=first("to"), subject=first("subject"))


def search_text(raw: bytes) -> str:
    """From, to, cc, subject and the start of the bodies in lower case; only the first 256 KiB are looked at."""
    view = view_message(raw[:_SEARCH_BYTES])
    wanted = ("from", "to", "cc", "subject")
    lines = [value for name, value in view.headers if name.lower() in wanted]
    return "\n".join([*lines, view.text or "", view.html or ""])[:_SEARCH_CHARACTERS].lower()


def view_message(raw: bytes) -> MessageView:
    """Split a message into what is shown. A message nested too deep for the parser is shown as headers and text."""
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
        parts = list(_leaves(message))
    except (RecursionError, ValueError, LookupError):
        message = BytesHeaderParser(policy=compat32).parsebytes(raw)
        return MessageView(decoded_headers(message), raw.decode("utf-8", "replace"), None, [])
    text = html = None
    attachments: list[Attachment] = []
    for part in parts:
        kind = part.get_content_type()
        is_body = kind in ("text/plain", "text/html") and not _is_attached(part)
        if is_body and kind == "text/plain" and text is None:
            text = decode_text(part)
        elif is_body and kind == "text/html" and html is None:
            html = decode_text(part)
        else:
            attachments.append(_attachment(len(attachments), part))
    return MessageView(decoded_headers(message), text, html, attachments)


def decoded_headers(message: Message) -> list[tuple[str, str]]:
    """All fields in order, unfolded, encoded words decoded (RFC 2047), raw UTF-8 read as such (RFC 6532)."""
    return [(name, decode_value(str(value))) for name, value in message.raw_items()]


def decode_value(value: str) -> str:
    value = _FOLD.sub("", _from_surrogates(value)).strip()
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
        return "".join(_decode_bytes(piece, charset) for piece, charset in pieces) or value
    except (ValueError, LookupError):
        return value


def decode_text(part: Message) -> str:
    """A text body with plain line feeds."""
    content = part.get_payload(decode=True)
    charset = str(part.get_content_charset() or "utf-8")
    return _decode_bytes(content if isinstance(content, bytes) else b"", charset).replace("\r\n", "\n")


def _leaves(message: Message) -> Iterator[Message]:
    """Every part that is not a container, in order; an attached message (message/rfc822) is one part."""
    stack, count = [message], 0
    while stack and count < _MAX_PARTS:
        part = stack.pop()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            stack += [child for child in reversed(payload) if isinstance(child, Message)]
        else:
            count += 1
            yield part


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_filename(part))


def _attachment(index: int, part: Message) -> Attachment:
    payload = part.get_payload()
    if isinstance(payload, list):  # message/rfc822 and its kin: the inner message as it was
        content = b"".join(child.as_bytes() for child in payload if isinstance(child, Message))
    else:
        decoded = part.get_payload(decode=True)
        content = decoded if isinstance(decoded, bytes) else b""
    content_id = decode_value(str(part.get("Content-ID") or "")).strip("<> ")
    return Attachment(index, _filename(part), part.get_content_type(), content, content_id)


def _filename(part: Message) -> str:
    try:
        name = part.get_filename("")
        return decode_value(collapse_rfc2231_value(name))
    except (ValueError, LookupError):
        return ""


def _from_surrogates(value: str) -> str:
    """The parser hides bytes beyond ASCII in surrogates (PEP 383); they are UTF-8 or at least shown as such."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decode_bytes(content: bytes | str, charset: str | None) -> str:
    if isinstance(content, str):
        return content
    try:
        return content.decode(charset or "ascii")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")
