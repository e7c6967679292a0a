"""The SMTP door for the return path's domain. It takes reports and nothing else, and answers when they are kept."""

from __future__ import annotations

from collections.abc import Sequence

from penguinmails_core.config import BounceSettings
from penguinmails_sender.intake.intake import BounceIntake
from penguinmails_sender.intake.verp import is_marked
from penguinmails_sender.smtpd.server import SmtpServer

NOBODY = "550 5.1.1 Nobody here by that name: this server takes reports about mail that was sent"


def recipient_reply(address: str, domain: str | None, feedback: Sequence[str]) -> str | None:
    """None for a return path, for where complaints go, and for the postmaster (RFC 5321 §4.5.1); `domain` None: of any
    domain, since every sender's own may lead here."""
    local, _, host = address.rpartition("@")
    if not local:
        return None if host.lower() == "postmaster" else NOBODY
    if domain is not None and host.lower().rstrip(".") != domain:
        return "550 5.7.1 This server does not relay"
    name = local.lower()
    return None if is_marked(name) or name == "postmaster" or name in feedback else NOBODY


def open_door(settings: BounceSettings, intake: BounceIntake, domain: str | None) -> SmtpServer:
    """Not yet listening: `async with`, or `start` and `stop`."""
    names = [name.lower() for name in settings.feedback]
    return SmtpServer(
        intake.take,
        host=settings.host,
        port=settings.port or 0,
        hostname=settings.hostname,
        title="PenguinMails reports",
        max_size=settings.max_bytes,
        max_connections=settings.connections,
        recipient_reply=lambda address: recipient_reply(address, domain, names),
    )
