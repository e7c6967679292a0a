"""The message as the sender sees it: plain values, nothing of the database, nothing encoded yet.

Bcc never enters a message: blind recipients exist only in the envelope (`transports.Envelope`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address (`local@domain`, the domain in A- or U-labels) with an optional display name."""

    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file. `content_type` may carry parameters (`text/calendar; method=REQUEST`). With a `content_id` (no angle
    brackets) the file is inline: HTML shows it as `<img src="cid:...">`."""

    filename: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """Everything that becomes visible to the receiver. `message_id` has no angle brackets; `date` is aware;
    `headers` are the caller's own (name, value) pairs, unfolded text."""

    message_id: str
    date: datetime
    from_: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @property
    def needs_smtputf8(self) -> bool:
        """True when a visible address has a non-ASCII local part, so that the header needs RFC 6531 on the whole way.
        A non-ASCII domain alone does not: it is written in A-labels."""
        for mailbox in (self.from_, *self.to, *self.cc, *self.reply_to):
            address = mailbox.address
            if not address.isascii() and not address.rpartition("@")[0].isascii():
                return True
        return False
