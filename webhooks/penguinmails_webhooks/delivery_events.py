"""What the delivery engine tells of its own work."""

from __future__ import annotations

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import DeliveryId, EndpointId, EventId, Timestamp


class WebhookEndpointEnabled(
    EventData,
    event=EventType.WEBHOOK_ENDPOINT_ENABLED,
    of_organization=True,
    example={
        "endpoint_id": "whe_01k5w8m3xjf2r9v0q4tz7h6cdg",
        "url": "https://hooks.example.com/penguinmails",
        "reason": "recovered",
        "disabled_at": "2026-11-24T12:00:00.000Z",
    },
):
    """An endpoint that was disabled gets events from now on: it answers again, or somebody enabled it. What happened
    since `disabled_at` can be replayed."""

    endpoint_id: EndpointId
    url: str = Field(description="Without its query")
    reason: str = Field(description="`recovered` (a probe was answered) or `manual`; more may be added")
    disabled_at: Timestamp | None = Field(None, description="Since when it got no events")


class MessageAttemptExhausted(
    EventData,
    event=EventType.MESSAGE_ATTEMPT_EXHAUSTED,
    of_organization=True,
    example={
        "endpoint_id": "whe_01k5w8m3xjf2r9v0q4tz7h6cdg",
        "delivery_id": "whd_01k5w8m3xjf2r9v0q4tz7h6cdp",
        "event_id": "evt_01k5w8m3xjf2r9v0q4tz7h6cdh",
        "type": "email.delivered",
        "attempts": 8,
        "last_status_code": 503,
        "last_error": "status: the receiver answered 503, not 2xx",
    },
):
    """The last attempt to deliver an event to an endpoint has failed. It is not sent again by itself; it can be resent.
    Nothing of the kind is told of events about webhook endpoints themselves."""

    endpoint_id: EndpointId
    delivery_id: DeliveryId
    event_id: EventId = Field(description="The event that was not received")
    type: str = Field(description="Its type")
    attempts: int = Field(ge=1, description="How often it was tried")
    last_status_code: int | None = Field(None, description="Of the last answer; null when none came")
    last_error: str | None = Field(None, description="Why the last attempt failed: one word, a colon, a sentence")
