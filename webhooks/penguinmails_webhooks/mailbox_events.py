"""Events of mailboxes that mail is sent from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import MailboxId, Part, Timestamp

_MAILBOX: dict[str, Any] = {
    "mailbox_id": "mbx_01k5w8m3xjf2r9v0q4tz7h6cds",
    "address": "grace@penguins.example",
    "status": "connected",
}


class MailboxEventData(Part):
    """The same in every `mailbox.*` event."""

    mailbox_id: MailboxId
    address: str
    status: str = Field(description="`connected`, `disconnected` or `paused`; more may be added")


class MailboxCreated(MailboxEventData, EventData, event=EventType.MAILBOX_CREATED, example=_MAILBOX):
    """A mailbox was added. Nothing is sent from it before signing in works."""


class MailboxConnected(MailboxEventData, EventData, event=EventType.MAILBOX_CONNECTED, example=_MAILBOX):
    """Signing in to the mailbox works, for the first time or again."""


class MailboxDisconnected(
    MailboxEventData,
    EventData,
    event=EventType.MAILBOX_DISCONNECTED,
    example=_MAILBOX | {"status": "disconnected", "reason": "authentication_failed"},
):
    """Signing in to the mailbox does not work any more; nothing is sent from it until it does."""

    reason: str = Field(description="Why, in one word; more may be added")


class MailboxPaused(
    MailboxEventData,
    EventData,
    event=EventType.MAILBOX_PAUSED,
    example=_MAILBOX | {"status": "paused", "reason": "bounce_rate", "until": None},
):
    """Nothing is sent from the mailbox for now, by a person's wish or to protect its reputation."""

    reason: str = Field(description="Why, in one word; more may be added")
    until: Timestamp | None = Field(None, description="When it goes on by itself; null: when somebody says so")


class MailboxResumed(MailboxEventData, EventData, event=EventType.MAILBOX_RESUMED, example=_MAILBOX):
    """Mail is sent from the mailbox again."""


class MailboxDeleted(MailboxEventData, EventData, event=EventType.MAILBOX_DELETED, example=_MAILBOX):
    """A mailbox was taken away; nothing is sent from it any more."""
