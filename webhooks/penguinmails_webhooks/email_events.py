"""Events of emails: one recipient's view of a message, from the queue to the reply."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import Actor, EmailEventData, ReplyClass, SmtpReply, ThreadId, Timestamp

_EMAIL: dict[str, Any] = {
    "email_id": "msg_01k5w8m3xjf2r9v0q4tz7h6cde",
    "recipient_id": "rcp_01k5w8m3xjf2r9v0q4tz7h6cdf",
    "recipient": {"address": "ada@example.com", "name": "Ada Lovelace", "kind": "to"},
    "from": "hello@penguins.example",
    "subject": "Your order has left the iceberg",
    "class": "transactional",
    "tags": ["order"],
    "metadata": {"order_id": "4711"},
    "message_id": "msg_01k5w8m3xjf2r9v0q4tz7h6cde@penguins.example",
}


def _smtp(code: int, enhanced_code: str, reply: str) -> dict[str, Any]:
    return {
        "code": code,
        "enhanced_code": enhanced_code,
        "reply": reply,
        "remote_host": "mx.example.com",
        "tls_version": "TLSv1.3",
        "tls_source": "mta-sts",
    }


_ATTEMPT = Field(None, ge=1, description="Which attempt it was, counting from 1")
_SMTP = Field(None, description="The answer of the receiving server; null when there was no conversation")


class EmailQueued(EmailEventData, EventData, event=EventType.EMAIL_QUEUED, example=_EMAIL | {"reason": None}):
    """The message was accepted, or is to be tried again on request, and waits for its turn."""

    reason: str | None = Field(None, description="`retry` when it was queued again on request; null the first time")


class EmailScheduled(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_SCHEDULED,
    example=_EMAIL | {"scheduled_at": "2026-12-01T08:00:00.000Z"},
):
    """The message was accepted, to be sent at a later time, or that time was changed."""

    scheduled_at: Timestamp = Field(description="When it will be sent")


class EmailSent(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_SENT,
    example=_EMAIL | {"attempt": 1, "smtp": _smtp(250, "2.0.0", "2.0.0 Ok: queued as 4XyZ")},
):
    """The message was handed over to the next system, such as a relay. It is not in the recipient's mailbox yet."""

    attempt: int | None = _ATTEMPT
    smtp: SmtpReply | None = _SMTP


class EmailDelivered(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_DELIVERED,
    example=_EMAIL | {"attempt": 1, "smtp": _smtp(250, "2.1.5", "2.1.5 Accepted")},
):
    """The recipient's mail server accepted the message."""

    attempt: int | None = _ATTEMPT
    smtp: SmtpReply | None = _SMTP


class EmailDeliveryDelayed(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_DELIVERY_DELAYED,
    example=_EMAIL
    | {
        "attempt": 1,
        "smtp": _smtp(451, "4.7.1", "4.7.1 Greylisted, try again later"),
        "reason": "greylisted",
        "next_attempt_at": "2026-11-24T12:01:00.000Z",
    },
):
    """An attempt failed for now; the message is tried again by itself."""

    attempt: int | None = _ATTEMPT
    smtp: SmtpReply | None = _SMTP
    reason: str | None = Field(None, description="Why, in one word; more may be added")
    next_attempt_at: Timestamp | None = Field(
        description="Not tried again before this time; null when another system, such as a relay, is trying"
    )


class EmailBounced(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_BOUNCED,
    example=_EMAIL
    | {
        "attempt": 1,
        "smtp": _smtp(550, "5.1.1", "5.1.1 The mailbox does not exist"),
        "reason": "mailbox_not_found",
    },
):
    """The recipient's mail server refused the message for good."""

    attempt: int | None = _ATTEMPT
    smtp: SmtpReply | None = _SMTP
    reason: str = Field(description="Why, in one word; more may be added")


class EmailComplained(EmailEventData, EventData, event=EventType.EMAIL_COMPLAINED, example=_EMAIL):
    """The recipient reported the message as spam; the address is suppressed from now on."""


class EmailSuppressed(
    EmailEventData, EventData, event=EventType.EMAIL_SUPPRESSED, example=_EMAIL | {"reason": "hard_bounce"}
):
    """The message was not sent to this recipient, because the address is on the suppression list."""

    reason: str = Field(description="Why the address is on the list, in one word; more may be added")


class EmailFailed(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_FAILED,
    example=_EMAIL | {"attempt": 9, "smtp": _smtp(451, "4.3.0", "4.3.0 Temporary system problem"), "reason": "expired"},
):
    """Sending was given up without a final answer of the recipient's mail server."""

    attempt: int | None = _ATTEMPT
    smtp: SmtpReply | None = _SMTP
    reason: str = Field(description="Why, in one word; more may be added")


class EmailCancelled(EmailEventData, EventData, event=EventType.EMAIL_CANCELLED, example=_EMAIL):
    """The message was cancelled before it was sent to this recipient."""


_OPEN: dict[str, Any] = {
    "actor": "human",
    "confidence": 0.85,
    "rule": "browser_click",
    "first": True,
    "user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
}


class EngagementEventData(EmailEventData):
    """What opens and clicks share. Addresses of readers are not kept."""

    actor: Actor = Field(description="Who it was: most opens and many clicks are those of machines")
    confidence: float = Field(ge=0, le=1, description="How sure that is")
    rule: str = Field(description="The rule that said so, such as `gmail_image_proxy`; docs/tracking.md lists them")
    first: bool = Field(description="Whether it is the first one of this recipient by an actor of this kind")
    user_agent: str | None = Field(None, description="As the client gave it")


class EmailOpened(
    EngagementEventData,
    EventData,
    event=EventType.EMAIL_OPENED,
    example=_EMAIL | _OPEN | {"confidence": 0.6, "rule": "mail_program_open"},
):
    """The tracking image of the message was loaded, by its reader or by a machine: see `actor`."""


class EmailClicked(
    EngagementEventData,
    EventData,
    event=EventType.EMAIL_CLICKED,
    example=_EMAIL | _OPEN | {"url": "https://penguins.example/orders/4711"},
):
    """A tracked link of the message was followed, by its reader or by a machine: see `actor`."""

    url: str = Field(description="Where the link leads")


class EmailReplied(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_REPLIED,
    example=_EMAIL
    | {
        "thread_id": "thr_01k5w8m3xjf2r9v0q4tz7h6cdp",
        "reply_class": "interested",
        "confidence": 0.94,
        "automatic": False,
        "returns_at": None,
        "preview": "Sounds good, can we talk on Thursday?",
        "received_at": "2026-11-24T12:00:00.000Z",
    },
):
    """Somebody, or an automatic responder, answered the message."""

    thread_id: ThreadId
    reply_class: ReplyClass = Field(description="What the answer says")
    confidence: float = Field(ge=0, le=1, description="How sure that is")
    automatic: bool = Field(description="Whether a machine answered, as when somebody is out of office")
    returns_at: Timestamp | None = Field(None, description="Out of office until then, when the answer says so")
    preview: str = Field(description="The start of the answer without quotes, at most 200 characters")
    received_at: Timestamp


class EmailUnsubscribed(
    EmailEventData,
    EventData,
    event=EventType.EMAIL_UNSUBSCRIBED,
    example=_EMAIL | {"method": "one_click", "list": "product-news"},
):
    """The recipient asked by this message not to be mailed again; the address is suppressed from now on."""

    method: str = Field(description="`one_click` (RFC 8058), `link`, `mailto` or `reply`; more may be added")
    list: str | None = Field(None, description="The list that was left; null for all mail")
