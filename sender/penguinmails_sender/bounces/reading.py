"""A mail that may be a report, taken apart: nothing in it is trusted to be well-formed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from functools import cached_property

MAX_SIZE = 1 << 20  # octets read of a mail; a report says what it has to say at the beginning
MAX_PARTS = 200

Fields = dict[str, str]
"""Field name, lower case -> value, unfolded. Of repeated fields the first one, but for those in `Group.repeated`."""


@dataclass(slots=True)
class Group:
    """One block of `Name: value` lines of a machine-readable part."""

    fields: Fields
    repeated: dict[str, list[str]]


@dataclass
class Mail:
    """`text`: what was written for people, without the copy of the original mail. `status`: groups of
    message/delivery-status, `feedback`: of message/feedback-report. `original`: headers of the mail it is about."""

    message: Message
    texts: list[str] = field(default_factory=list)
    status: list[Group] = field(default_factory=list)
    feedback: list[Group] = field(default_factory=list)
    original: Fields = field(default_factory=dict)
    types: list[str] = field(default_factory=list)

    def header(self, name: str) -> str:
        return _decoded(self.message.get(name))

    def headers(self, name: str) -> list[str]:
        return [_decoded(value) for value in self.message.get_all(name, [])]

    @cached_property
    def text(self) -> str:
        return "\n".join(self.texts)

    @cached_property
    def notice(self) -> str:
        """`text` up to the copy of the original."""
        return split_original(self.text)[0]

    @cached_property
    def sender(self) -> str:
        return self.header("From").lower()

    @cached_property
    def subject(self) -> str:
        return self.header("Subject")

    @cached_property
    def report_type(self) -> str:
        value = self.message.get_param("report-type")
        return value.lower() if isinstance(value, str) else ""


def read(data: bytes) -> Mail:
    """Never raises: what cannot be read is passed over."""
    message = message_from_bytes(data[:MAX_SIZE])
    mail = Mail(message)
    for number, part in enumerate(_parts(message)):
        if number >= MAX_PARTS:
            break
        _take(mail, part)
    if not mail.status:  # a gateway flattened the mail, or its boundary is lost
        mail.status = [found for found in groups(mail.text) if "final-recipient" in found.fields]
    if not mail.original:
        mail.original = group(split_original(mail.text)[1]).fields
    return mail


def _parts(message: Message) -> Iterator[Message]:
    """The parts of the report itself: what is inside of a mail that came back is not among them."""
    yield message
    content = message.get_payload()
    if message.is_multipart() and isinstance(content, list) and message.get_content_maintype() == "multipart":
        for part in content:
            if isinstance(part, Message):
                yield from _parts(part)


def _take(mail: Mail, part: Message) -> None:
    kind = part.get_content_type()
    mail.types.append(kind)
    if kind in ("message/delivery-status", "message/global-delivery-status"):
        mail.status.extend(groups(_raw(part)))
    elif kind == "message/feedback-report":
        mail.feedback.extend(groups(_raw(part)))
    elif kind in ("text/rfc822-headers", "message/global-headers"):
        mail.original = mail.original or group(_text(part)).fields
    elif part.get_content_maintype() == "message":
        inner = part.get_payload()
        if isinstance(inner, list) and inner and isinstance(inner[0], Message):
            mail.original = mail.original or {name.lower(): _decoded(value) for name, value in inner[0].items()}
    elif kind == "text/plain" or (kind == "text/html" and not mail.texts) or _unparted(part):
        text = _text(part)
        mail.texts.append(_plain(text) if kind == "text/html" else text)


def _unparted(part: Message) -> bool:
    """Says that it has parts, and has none that can be found."""
    return part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), str)


def _raw(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list):
        return "\n\n".join(_block(inner) for inner in payload if isinstance(inner, Message))
    return _text(part)


def _block(block: Message) -> str:
    lines = [f"{name}: {value}" for name, value in block.items()]
    body = block.get_payload()
    return "\n".join(lines) + (f"\n\n{body}" if isinstance(body, str) and body.strip() else "")


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        text = payload.decode(charset, "replace")
    except (LookupError, ValueError):
        text = payload.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _plain(html: str) -> str:
    """Good enough to find addresses and words in."""
    text = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", html[:200_000])
    text = re.sub(r"(?i)<(br|/p|/div|/tr|/li|/h\d)\b[^>]*>", "\n", text)
    text = re.sub(r"<(?![^<>\s]+@[^<>\s]+>)[^<>]*>", " ", text)
    for entity, character in (
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", " "),
        ("&#39;", "'"),
        ("&quot;", '"'),
        ("&amp;", "&"),
    ):
        text = text.replace(entity, character)
    return text


def _decoded(value: object) -> str:
    text = str(value or "")
    with suppress(HeaderParseError, LookupError, ValueError):
        text = str(make_header(decode_header(text)))
    return " ".join(text.split())


_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:[ \t]*(.*)")


def groups(text: str) -> list[Group]:
    """Blocks of fields with empty lines between them (RFC 3464 §2.1)."""
    return [found for block in re.split(r"\n[ \t]*\n", text) if (found := group(block)).fields]


def group(text: str) -> Group:
    """`Name: value` lines, folded ones joined. Stops at the first empty line."""
    found = Group({}, {})
    name = ""
    for line in text.lstrip("\n").split("\n"):
        if not line.strip():
            break
        if line[0] in " \t" and name:
            value = line.strip()
            found.repeated[name][-1] += " " + value
            continue
        match = _FIELD.match(line)
        if match is None:
            name = ""
            continue
        name = match[1].lower()
        found.repeated.setdefault(name, []).append(match[2].strip())
    found.fields = {name: values[0] for name, values in found.repeated.items()}
    return found


# Lines after which a report shows the mail that it is about, as mail systems print them.
_COPY = re.compile(
    r"""^[ \t>*]*(?:
      -{2,}.{0,60}
        (?:copy\ of|original|unsent|undelivered|returned|body\ of|start\ of|header|failed\ message|below\ this\ line)
        .{0,80}
    | _{5,}.{0,10}
    | (?:original|returned|message|undelivered)\ (?:message|mail|headers?)
        (?:\ headers?|\ text|\ follows?|\ body)*\ ?[:.]?
    | (?:the\ )?(?:original|undelivered|returned|following\ is\ the|here\ is|below\ is)\b.{0,40}
        \b(?:message|header|mail|copy)\w*.{0,40}(?:follows?|below|attached|included|:)\.?
    | message\ headers?(?:\ follow)?\.?:?
    | .{0,20}original\ message\ (?:was|is|follows|header).{0,60}:
    | unsent\ message\ (?:follows|below).{0,20}
    )[ \t]*$""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_HEADERS = re.compile(r"^(?:Received|Return-Path|Message-ID|DKIM-Signature|X-Received):", re.IGNORECASE | re.MULTILINE)


def split_original(text: str) -> tuple[str, str]:
    """(what the report says, the copy of the mail it is about)."""
    ends = [(match.start(), match.end()) for match in _COPY.finditer(text) if match.start() > 20]
    ends = [(start, end) for start, end in ends if _HEADERS.search(text, end, end + 4000) or not text[end:].strip()]
    headers = _HEADERS.search(text)
    if headers is not None and headers.start() > 20:
        ends.append((headers.start(), headers.start()))
    if not ends:
        return text, ""
    start, end = min(ends)
    return text[:start], text[end:]
