"""An answer taken apart: who, to what, and what the person wrote without quotes and signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr, parsedate_to_datetime

from penguinmails_sender.bounces.autoreply import is_one
from penguinmails_sender.bounces.reading import Mail, read

MAX_TEXT = 50_000
_IDS = re.compile(r"<([^<>\s]{3,300})>")
_ATTRIBUTION = re.compile(
    r"^\s*(>?\s*)?(on .{5,200} wrote:|am .{5,200} schrieb.{0,100}:|le .{5,200} a écrit\s?:|el .{5,200} escribió:"
    r"|il .{5,200} ha scritto:|op .{5,200} schreef.{0,100}:|-{2,} ?(original message|ursprüngliche nachricht"
    r"|forwarded message|message d'origine).{0,20}-*|_{10,}|(from|von|de): .{3,200})\s*$",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"^(-- ?|--|sent from my .{3,60}|von meinem .{3,60} gesendet|get outlook for .{3,20})$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Answer:
    """`references`: Message-IDs that it answers, the nearest first. `automatic`: no person wrote it (RFC 3834)."""

    mail: Mail
    message_id: str
    references: tuple[str, ...]
    from_address: str
    from_name: str | None
    subject: str
    text: str
    reply: str
    automatic: bool
    received_at: datetime


def take_apart(raw: bytes, now: datetime) -> Answer:
    """Never raises: what cannot be read is left out."""
    mail = read(raw)
    name, address = parseaddr(mail.header("From"))
    text = _storable(mail.text)[:MAX_TEXT]
    nearest = _IDS.findall(mail.header("In-Reply-To"))
    earlier = _IDS.findall(mail.header("References"))
    own = _IDS.findall(mail.header("Message-ID"))
    return Answer(
        mail,
        _storable(own[0] if own else ""),
        tuple(dict.fromkeys(_storable(found) for found in [*nearest, *reversed(earlier)])),
        _storable(address.lower())[:320],
        _storable(name)[:200] or None,
        _storable(mail.subject)[:998],
        text,
        own_words(text),
        is_one(mail) or mail.header("Auto-Submitted").lower().startswith("auto-"),
        _date(mail.header("Date"), now),
    )


def own_words(text: str) -> str:
    """Up to the first quote, attribution line or signature. Where nothing is left, all of it: somebody answered between
    the lines."""
    kept: list[str] = []
    lines = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines):
        two = line.rstrip() + " " + (lines[number + 1].strip() if number + 1 < len(lines) else "")
        if _ATTRIBUTION.match(line) or _SIGNATURE.match(line.strip()) or _ATTRIBUTION.match(two):
            break
        if not line.lstrip().startswith(">"):
            kept.append(line.rstrip())
    found = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return found or text.strip()


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _date(text: str, now: datetime) -> datetime:
    """The sender's clock is believed within limits: a thread is sorted by it."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return now
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    return found.astimezone(UTC) if abs((found - now).total_seconds()) < 7 * 86400 else now
