"""Events of webhook endpoints themselves, for whoever operates them. An endpoint is not told of itself."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import EndpointId, Part, Timestamp

_ENDPOINT: dict[str, Any] = {
    "endpoint_id": "whe_01k5w8m3xjf2r9v0q4tz7h6cdg",
    "url": "https://hooks.example.com/penguinmails",
    "events": ["email.*"],
    "status": "enabled",
}


class WebhookEndpointEventData(Part):
    """What most `webhook_endpoint.*` events say."""

    endpoint_id: EndpointId
    url: str = Field(description="Without its query")
    events: list[str] = Field(description="The patterns that it is subscribed to")
    status: str = Field(description="`enabled` or `disabled`; more may be added")


class WebhookEndpointCreated(
    WebhookEndpointEventData, EventData, event=EventType.WEBHOOK_ENDPOINT_CREATED, example=_ENDPOINT
):
    """A webhook endpoint was made: events are sent to its URL from now on."""


class WebhookEndpointUpdated(
    WebhookEndpointEventData,
    EventData,
    event=EventType.WEBHOOK_ENDPOINT_UPDATED,
    example=_ENDPOINT | {"changed": ["events"]},
):
    """Settings of a webhook endpoint were changed."""

    changed: list[str] = Field(description="Names of the settings that differ now")


class WebhookEndpointDisabled(
    EventData,
    event=EventType.WEBHOOK_ENDPOINT_DISABLED,
    of_organization=True,
    example={
        "endpoint_id": "whe_01k5w8m3xjf2r9v0q4tz7h6cdg",
        "url": "https://hooks.example.com/penguinmails",
        "reason": "failing",
        "failing_since": "2026-11-19T12:00:00.000Z",
        "last_status_code": 503,
    },
):
    """An endpoint gets no more events: somebody disabled it, it answered 410 Gone, or it has failed for five days."""

    endpoint_id: EndpointId
    url: str = Field(description="Without its query")
    reason: str = Field(description="`manual`, `gone` or `failing`; more may be added")
    failing_since: Timestamp | None = Field(None, description="When the first of the failures in a row happened")
    last_status_code: int | None = Field(None, description="Status of the last answer; null when none came")


class WebhookEndpointSecretRotated(
    WebhookEndpointEventData,
    EventData,
    event=EventType.WEBHOOK_ENDPOINT_SECRET_ROTATED,
    example=_ENDPOINT | {"previous_secret_expires_at": "2026-11-25T12:00:00.000Z"},
):
    """A webhook endpoint has another signing secret."""

    previous_secret_expires_at: Timestamp | None = Field(
        None, description="Until then requests are signed with the secret before, too; null when it ended at once"
    )


class WebhookEndpointDeleted(
    WebhookEndpointEventData, EventData, event=EventType.WEBHOOK_ENDPOINT_DELETED, example=_ENDPOINT
):
    """A webhook endpoint was deleted, and what waited for it was cancelled."""


class WebhookTest(
    EventData,
    event=EventType.WEBHOOK_TEST,
    example={
        "endpoint_id": "whe_01k5w8m3xjf2r9v0q4tz7h6cdg",
        "message": "If you can read this and the signature verifies, your endpoint works.",
    },
):
    """A sample, sent on request to try an endpoint. Nothing happened."""

    endpoint_id: EndpointId
    message: str
