"""Recipients that answer with a chosen failure, so that a developer can try failures over real SMTP."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    """`local_parts` (lower case; ``+tag`` is ignored) are refused at RCPT with `reply`, whatever their domain."""

    local_parts: tuple[str, ...]
    reply: str
    meaning: str


MAGIC_RECIPIENTS = (
    MagicRecipient(("bounce", "bounced"), "550 5.1.1 No such mailbox here", "Hard bounce: the mailbox does not exist"),
    MagicRecipient(("defer", "deferred"), "451 4.7.1 Try again later", "Greylisting: later tries are deferred too"),
    MagicRecipient(("full",), "452 4.2.2 The mailbox is full", "Soft bounce: the mailbox is over its quota"),
    MagicRecipient(("spam",), "550 5.7.1 Refused as unsolicited mail", "Policy block: content or reputation"),
)
_REPLIES = {part: magic.reply for magic in MAGIC_RECIPIENTS for part in magic.local_parts}


def magic_reply(recipient: str) -> str | None:
    """The SMTP reply that refuses `recipient`, or None when its mail is taken."""
    local = recipient.rpartition("@")[0].lower()
    return _REPLIES.get(local) or _REPLIES.get(local.partition("+")[0])
