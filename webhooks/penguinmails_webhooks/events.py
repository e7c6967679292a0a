"""The event catalogue put to use: events of emails and webhook endpoints, how an event is rendered, what patterns cover
it. Events of other families have modules of their own; all register in `catalogue`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import models_json_schema

from penguinmails_core.errors import FieldError
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_webhooks import api_key_events, delivery_events, usage_events  # noqa: F401  (fill the catalogue)
from penguinmails_webhooks.catalogue import CATALOGUE, EventData
from penguinmails_webhooks.payloads import (
    DomainEventData,
    EmailEventData,
    EndpointId,
    EventId,
    EventMode,
    OrganizationId,
    SmtpReply,
    SuppressionEventData,
    Timestamp,
    WorkspaceId,
)

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
    return {"code": code, "enhanced_code": enhanced_code, "reply": reply, "remote_host": "mx.example.com"}


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
        "reason": "temporary_failure",
        "next_attempt_at": "2026-11-24T12:01:00.000Z",
    },
):
    """An attempt failed for now; the message is tried again by itself."""

    attempt: int | None = _ATTEMPT
    smtp: SmtpReply | None = _SMTP
    reason: str | None = Field(None, description="Why, in one word; more may be added")
    next_attempt_at: Timestamp = Field(description="Not tried again before this time")


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


_SUPPRESSION: dict[str, Any] = {
    "suppression_id": "sup_01k5w8m3xjf2r9v0q4tz7h6cdm",
    "address": "ada@example.com",
    "reason": "hard_bounce",
    "note": None,
    "evidence": {
        "email_id": "msg_01k5w8m3xjf2r9v0q4tz7h6cde",
        "recipient_id": "rcp_01k5w8m3xjf2r9v0q4tz7h6cdf",
        "code": 550,
        "enhanced_code": "5.1.1",
        "reply": "5.1.1 The mailbox does not exist",
        "remote_host": "mx.example.com",
        "observed_at": "2026-11-24T12:00:00.000Z",
    },
    "expires_at": None,
}


class SuppressionCreated(SuppressionEventData, EventData, event=EventType.SUPPRESSION_CREATED, example=_SUPPRESSION):
    """An address is not mailed any more: it bounced, its owner said no, or somebody put it on the list."""


class SuppressionLifted(
    SuppressionEventData, EventData, event=EventType.SUPPRESSION_LIFTED, example=_SUPPRESSION | {"consent": False}
):
    """An address was taken off the suppression list; it may be mailed again."""

    consent: bool = Field(description="Whether it was stated that the person has asked to be mailed again")


class SuppressionRestored(SuppressionEventData, EventData, event=EventType.SUPPRESSION_RESTORED, example=_SUPPRESSION):
    """A lift was taken back: the address is not mailed, as before."""


_DOMAIN: dict[str, Any] = {
    "domain_id": "dom_01k5w8m3xjf2r9v0q4tz7h6cdn",
    "name": "penguins.example",
    "status": "pending",
}


class DomainCreated(DomainEventData, EventData, event=EventType.DOMAIN_CREATED, example=_DOMAIN):
    """A sending domain was added. Nothing is sent from it until it is verified."""


class DomainVerified(
    DomainEventData, EventData, event=EventType.DOMAIN_VERIFIED, example=_DOMAIN | {"status": "verified"}
):
    """DNS proves who controls the domain; mail can be sent from it."""


class DomainFailed(
    DomainEventData,
    EventData,
    event=EventType.DOMAIN_FAILED,
    example=_DOMAIN | {"status": "failed", "reason": "records_missing"},
):
    """A look at DNS did not find what proves control, so nothing is sent from the domain."""

    reason: str = Field(description="Why, in one word: `records_missing` or `taken_over`; more may be added")


class DomainDeleted(DomainEventData, EventData, event=EventType.DOMAIN_DELETED, example=_DOMAIN):
    """A sending domain was deleted with its keys. What still waited to be sent from it fails."""


class WebhookEndpointDisabled(
    EventData,
    event=EventType.WEBHOOK_ENDPOINT_DISABLED,
    example={
        "endpoint_id": "whe_01k5w8m3xjf2r9v0q4tz7h6cdg",
        "url": "https://hooks.example.com/penguinmails",
        "reason": "failing",
        "failing_since": "2026-11-19T12:00:00.000Z",
        "last_status_code": 503,
    },
):
    """An endpoint gets no more events: it answered 410 Gone, or it has failed for five days."""

    endpoint_id: EndpointId
    url: str = Field(description="Without its query")
    reason: str = Field(description="`gone` or `failing`; more may be added")
    failing_since: Timestamp | None = Field(None, description="When the first of the failures in a row happened")
    last_status_code: int | None = Field(None, description="Status of the last answer; null when none came")


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


class Envelope(BaseModel):
    """What is sent, and what `GET /v1/events` returns: the same id in both, and in the `webhook-id` header."""

    id: EventId
    type: str
    timestamp: Timestamp = Field(description="When it happened")
    schema_version: int = Field(ge=1, description="Version of `data` for this type")
    sequence: int = Field(ge=1, description="Place among the events of the same resource, counting from 1")
    previous_sequence: int | None = Field(
        description="The one before; null for the first. A gap means an event that was missed or not asked for"
    )
    organization_id: OrganizationId
    workspace_id: WorkspaceId | None
    mode: EventMode
    data: Any


@cache
def envelope_model(event: EventType) -> type[Envelope]:
    """The model of one event as it is sent, such as `EmailDeliveredEvent`."""
    data = CATALOGUE[event]
    fields: dict[str, Any] = {
        "type": (Literal[event.value], ...),
        "schema_version": (Literal[data.schema_version], ...),
        "data": (data, ...),
    }
    return create_model(f"{data.__name__}Event", __base__=Envelope, __doc__=data.description, **fields)


def render(row: Mapping[str, Any]) -> bytes:
    """The body of an event: what is signed and sent. `row` is one of `events` (an asyncpg record or a mapping), its
    `payload` a dict or JSON text. Hot path: no model is built, and JSON text is copied rather than parsed."""
    payload = row["payload"]
    workspace: UUID | None = row["workspace_id"]
    sequence: int = row["sequence"]
    return orjson.dumps(
        {
            "id": encode(Prefix.EVENT, row["id"]),
            "type": row["type"],
            "timestamp": rfc3339(row["created_at"]),
            "schema_version": row["schema_version"],
            "sequence": sequence,
            "previous_sequence": sequence - 1 if sequence > 1 else None,
            "organization_id": encode(Prefix.ORGANIZATION, row["organization_id"]),
            "workspace_id": encode(Prefix.WORKSPACE, workspace) if workspace else None,
            "mode": row["mode"],
            "data": orjson.Fragment(payload) if isinstance(payload, str | bytes) else payload,
        }
    )


_OF_THE_ORGANIZATION = (
    EventType.WEBHOOK_ENDPOINT_DISABLED,
    EventType.WEBHOOK_ENDPOINT_ENABLED,
    EventType.MESSAGE_ATTEMPT_EXHAUSTED,
    EventType.USAGE_THRESHOLD_REACHED,
)


def example_event(event: EventType) -> dict[str, Any]:
    """A whole event as it would be received, for docs, for the specification and for trying an endpoint."""
    data = CATALOGUE[event]
    return {
        "id": "evt_01k5w8m3xjf2r9v0q4tz7h6cdh",
        "type": event.value,
        "timestamp": "2026-11-24T12:00:00.000Z",
        "schema_version": data.schema_version,
        "sequence": 1,
        "previous_sequence": None,
        "organization_id": "org_01k5w8m3xjf2r9v0q4tz7h6cdj",
        "workspace_id": None if event in _OF_THE_ORGANIZATION else "ws_01k5w8m3xjf2r9v0q4tz7h6cdk",
        "mode": "live",
        "data": dict(data.example),
    }


def openapi_webhooks() -> tuple[dict[str, Any], dict[str, Any]]:
    """(the `webhooks` section of an OpenAPI 3.1 document, the schemas it refers to in `components`)."""
    models = [envelope_model(event) for event in CATALOGUE]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    webhooks = {event.value: {"post": _operation(event)} for event in CATALOGUE}
    return webhooks, definitions["$defs"]


def _operation(event: EventType) -> dict[str, Any]:
    data = CATALOGUE[event]
    headers = {
        "webhook-id": "The event's id; the same on every repeat",
        "webhook-timestamp": "Unix seconds of this attempt",
        "webhook-signature": "`v1,` and base64 of HMAC-SHA256, several with spaces between them (Standard Webhooks)",
    }
    return {
        "operationId": f"webhook_{event.value.replace('.', '_')}",
        "tags": ["webhooks"],
        "summary": event.value,
        "description": data.description,
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{data.__name__}Event"},
                    "example": example_event(event),
                }
            },
        },
        "responses": {
            "2XX": {"description": "Received; not sent again"},
            "410": {"description": "Not wanted any more; the endpoint is disabled"},
            "default": {"description": "Not received; sent again later"},
        },
    }


class InvalidPatterns(ValueError):
    """Event patterns that match nothing. `errors` point into the request's `events`."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(error.detail for error in errors))
        self.errors = tuple(errors)


def matches(patterns: Sequence[str], event_type: str) -> bool:
    """Whether one of the patterns (`email.delivered`, `email.*`, `*`) covers an event."""
    for pattern in patterns:
        if pattern == event_type or pattern == "*" or (pattern[-2:] == ".*" and event_type.startswith(pattern[:-1])):
            return True
    return False


def known_patterns() -> list[str]:
    """Every usable pattern: `*`, each family with `.*`, each event."""
    families = {event.value.partition(".")[0] + ".*" for event in CATALOGUE}
    return ["*", *sorted(families), *(event.value for event in CATALOGUE)]


def validate_patterns(patterns: Sequence[str], *, pointer: str = "/events") -> list[str]:
    """The patterns without repeats, in their order. Raises `InvalidPatterns` when there is none, or for each one that
    covers no known event, naming the nearest known ones."""
    if not patterns:
        raise InvalidPatterns([FieldError(pointer, "required", 'name at least one event, or use "*" for all')])
    known = known_patterns()
    errors = []
    for index, pattern in enumerate(patterns):
        if pattern not in known:
            near = difflib.get_close_matches(pattern.lower()[:100], known, n=3, cutoff=0.5)
            families = [name for name in known if name.endswith("*")]  # the single events would be pages
            advice = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(families)} and their events"
            errors.append(
                FieldError(f"{pointer}/{index}", "unknown_event", f"{pattern[:100]!r} is no known event; {advice}")
            )
    if errors:
        raise InvalidPatterns(errors)
    return list(dict.fromkeys(patterns))


__all__ = [
    "CATALOGUE",
    "EventData",
    "InvalidPatterns",
    "envelope_model",
    "example_event",
    "known_patterns",
    "matches",
    "openapi_webhooks",
    "render",
    "validate_patterns",
]
