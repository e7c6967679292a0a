"""`build`: an OutgoingMessage as the octets that go over the wire (RFC 5322, RFC 2045-2049), before DKIM.

The same message always gives the same octets, so a retry sends what the first attempt sent.
Hot path: one call per message sent. Text bodies are joined, never parsed; see `bodies` and `headers` for the rest.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import blake2b
from secrets import token_hex

from penguinmails_sender.message import OutgoingMessage
from penguinmails_sender.mime.addresses import address_header
from penguinmails_sender.mime.attachments import Entity, attachment_entity
from penguinmails_sender.mime.bodies import canonical, encode_text, part_head
from penguinmails_sender.mime.errors import MimeError, utf8
from penguinmails_sender.mime.headers import custom_headers, text_header

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# dot-atom "@" dot-atom (RFC 5322 §3.6.4 without its obsolete forms); short enough for one unfolded line
_MESSAGE_ID = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
).fullmatch
_MAX_MESSAGE_ID = 900


def build(message: OutgoingMessage, *, allow_8bit: bool = False) -> bytes:
    """The complete message with CRLF line ends, ready to be signed and sent.

    Bodies travel as 7bit, quoted-printable or base64, so that no server on the way has to convert them and break the
    signature (RFC 6376 §5.3); `allow_8bit=True` leaves UTF-8 text as 8bit, for servers known to offer 8BITMIME.
    Raises MimeError, naming the field, for what cannot be written: line breaks or NUL in a header, a reserved or
    repeated custom header, a malformed address, message id, content type or content id.
    """
    lines = [address_header("From", (message.from_,), "from")]
    if message.to:
        lines.append(address_header("To", message.to, "to"))
    elif not message.cc:
        lines.append("To: undisclosed-recipients:;")
    if message.cc:
        lines.append(address_header("Cc", message.cc, "cc"))
    if message.reply_to:
        lines.append(address_header("Reply-To", message.reply_to, "reply_to"))
    lines.append(text_header("Subject", message.subject, "subject"))
    lines.append(f"Date: {format_date(message.date)}")
    lines.append(f"Message-ID: <{_checked_message_id(message.message_id)}>")
    if message.headers:
        lines += custom_headers(message.headers)
    lines.append("MIME-Version: 1.0\r\n")
    head, body = _root(message, allow_8bit)
    chunks = ["\r\n".join(lines).encode(), head, b"\r\n", *body]
    if not chunks[-1].endswith(b"\r\n"):
        chunks.append(b"\r\n")
    return b"".join(chunks)


def format_date(date: datetime) -> str:
    """RFC 5322 §3.3 in UTC; `strftime` would follow the locale. Raises MimeError for a naive datetime."""
    if date.tzinfo is None:
        raise MimeError("date", "the date has no time zone")
    date = date.astimezone(UTC)
    return (
        f"{_DAYS[date.weekday()]}, {date.day:02d} {_MONTHS[date.month]} {date.year:04d} "
        f"{date.hour:02d}:{date.minute:02d}:{date.second:02d} +0000"
    )


def _checked_message_id(message_id: str) -> str:
    if len(message_id) > _MAX_MESSAGE_ID or _MESSAGE_ID(message_id) is None:
        raise MimeError("message_id", "give local@domain in ASCII, without spaces and angle brackets")
    return message_id


def _root(message: OutgoingMessage, allow_8bit: bool) -> Entity:
    """multipart/mixed > related > alternative, each only where it is needed."""
    bodies = []
    if message.text is not None or message.html is None:
        bodies.append(_text_entity("plain", message.text or "", "text", allow_8bit))
    if message.html is not None:
        bodies.append(_text_entity("html", message.html, "html", allow_8bit))
    if len(bodies) == 1 and not message.attachments:
        return bodies[0]

    inline: list[Entity] = []
    attached: list[Entity] = []
    for index, attachment in enumerate(message.attachments):
        shown = attachment.content_id is not None and message.html is not None
        (inline if shown else attached).append(attachment_entity(attachment, f"attachments[{index}]", shown))
    token = _boundary(message.message_id, [*bodies, *inline, *attached])
    root = bodies[0] if len(bodies) == 1 else _multipart(b"alternative", token + b"_1", bodies)
    if inline:
        kind = b"text/html" if len(bodies) == 1 else b"multipart/alternative"
        root = _multipart(b'related;\r\n type="' + kind + b'"', token + b"_2", [root, *inline])
    if attached:
        root = _multipart(b"mixed", token + b"_3", [root, *attached])
    return root


def _text_entity(subtype: str, text: str, field: str, allow_8bit: bool) -> Entity:
    encoding, body = encode_text(canonical(utf8(text, field)), allow_8bit)
    return part_head(subtype, encoding), [body]


def _multipart(subtype: bytes, boundary: bytes, entities: list[Entity]) -> Entity:
    body = []
    delimiter = b"--" + boundary + b"\r\n"
    for head, content in entities:
        body += [delimiter, head, b"\r\n", *content]
        delimiter = b"\r\n--" + boundary + b"\r\n"
    body.append(b"\r\n--" + boundary + b"--\r\n")
    return b"Content-Type: multipart/" + subtype + b';\r\n boundary="' + boundary + b'"\r\n', body


def _boundary(message_id: str, entities: list[Entity]) -> bytes:
    """A token that occurs in no part. From the message id, so that a retry builds the same octets; random if somebody
    has put that one into the content. Encoded parts cannot hold it (RFC 2045 §6.7: `=_` is in no encoding)."""
    token = b"=_" + blake2b(message_id.encode(), digest_size=12).hexdigest().encode()
    while any(token in chunk for _, content in entities for chunk in content):
        token = b"=_" + token_hex(12).encode()
    return token
