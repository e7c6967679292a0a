"""Events of conversations in the inbox."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import CampaignId, ContactId, MailboxId, Part, ReplyClass, ThreadId

_THREAD: dict[str, Any] = {
    "thread_id": "thr_01k5w8m3xjf2r9v0q4tz7h6cdp",
    "mailbox_id": "mbx_01k5w8m3xjf2r9v0q4tz7h6cds",
    "contact_id": "ctc_01k5w8m3xjf2r9v0q4tz7h6cdt",
    "campaign_id": "cmp_01k5w8m3xjf2r9v0q4tz7h6cdv",
    "address": "ada@example.com",
    "subject": "Re: Your order has left the iceberg",
    "interest": "interested",
}


class ThreadEventData(Part):
    """The same in every `thread.*` event."""

    thread_id: ThreadId
    mailbox_id: MailboxId | None = Field(None, description="The mailbox that it is in")
    contact_id: ContactId | None = Field(None, description="The contact that it is with, when there is one")
    campaign_id: CampaignId | None = Field(None, description="The campaign that began it, when one did")
    address: str = Field(description="The address of the other side")
    subject: str
    interest: ReplyClass | None = Field(None, description="What the last answer says; null before there is one")


class ThreadCreated(ThreadEventData, EventData, event=EventType.THREAD_CREATED, example=_THREAD):
    """A conversation began: the first message of the other side came in."""


class ThreadInterestChanged(
    ThreadEventData,
    EventData,
    event=EventType.THREAD_INTEREST_CHANGED,
    example=_THREAD | {"previous_interest": "not_now", "changed_by": "rule"},
    available=False,
):
    """The other side is interested now, or is no longer: what outcomes are counted and deals are made by."""

    previous_interest: ReplyClass | None = Field(None, description="What it was before; null for nothing yet")
    changed_by: str = Field(description="`rule`, `model` or `person`; more may be added")


class ThreadClosed(ThreadEventData, EventData, event=EventType.THREAD_CLOSED, example=_THREAD, available=False):
    """A conversation was put aside as done. A new message opens it again."""
