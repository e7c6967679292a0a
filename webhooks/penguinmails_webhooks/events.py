"""The event catalogue put to use: how an event is rendered, what patterns cover it, what specifications say of it.

Events have modules of their own, one for each family; all register in `catalogue`.
"""

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
from penguinmails_webhooks import (  # noqa: F401  (they fill the catalogue)
    api_key_events,
    campaign_events,
    delivery_events,
    domain_events,
    email_events,
    inbound_events,
    mailbox_events,
    people_events,
    suppression_events,
    thread_events,
    usage_events,
    webhook_endpoint_events,
)
from penguinmails_webhooks.catalogue import CATALOGUE, EventData, Older, convert, version_for
from penguinmails_webhooks.payloads import EventId, EventMode, OrganizationId, Part, Timestamp, WorkspaceId

for _event in EventType:  # in the order of the names, and a name without a class stops the start
    CATALOGUE[_event] = CATALOGUE.pop(_event)

ANNOUNCED = "Announced: its feature is still to come, and it is not sent yet."


class Envelope(BaseModel):
    """What is sent, and what `GET /v1/events` returns: the same id in both, and in the `webhook-id` header."""

    id: EventId
    type: str
    timestamp: Timestamp = Field(description="When it happened")
    schema_version: int = Field(ge=1, description="Version of `data` for this type")
    resource_id: str = Field(
        pattern=r"^[a-z]{2,6}_[0-7][0-9a-hjkmnp-tv-z]{25}$",
        description="Whose events `sequence` counts: of `email.*` the recipient, else what the event is about",
    )
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
    return _envelope(event, data, data.schema_version, f"{data.__name__}Event")


def older_envelope(event: EventType, older: Older) -> type[Envelope]:
    """The model of an event as endpoints get it that are pinned to one of its former shapes."""
    return _envelope(event, older.model, older.version, f"{CATALOGUE[event].__name__}EventV{older.version}")


def _envelope(event: EventType, data: type[Part], version: int, name: str) -> type[Envelope]:
    fields: dict[str, Any] = {
        "type": (Literal[event.value], ...),
        "schema_version": (Literal[version], ...),
        "data": (data, ...),
    }
    return create_model(name, __base__=Envelope, __doc__=described(event), **fields)


# By the family of an event: the kind of resource that its sequence counts.
RESOURCES = {
    "email": Prefix.RECIPIENT,
    "suppression": Prefix.SUPPRESSION,
    "domain": Prefix.DOMAIN,
    "api_key": Prefix.API_KEY,
    "usage": Prefix.QUOTA,
    "webhook_endpoint": Prefix.WEBHOOK_ENDPOINT,
    "webhook": Prefix.WEBHOOK_ENDPOINT,
    "message": Prefix.WEBHOOK_ENDPOINT,
    "inbound": Prefix.INBOUND_MESSAGE,
    "organization": Prefix.ORGANIZATION,
    "workspace": Prefix.WORKSPACE,
    "member": Prefix.MEMBER,
    "invitation": Prefix.INVITATION,
    "mailbox": Prefix.MAILBOX,
    "thread": Prefix.THREAD,
}
_OTHER = "res"  # of families that are still to come


@cache
def resource_prefix(event_type: str) -> str:
    return str(RESOURCES.get(event_type.partition(".")[0], _OTHER))


def described(event: EventType) -> str:
    """What an event means, and that it is not sent yet when that is so."""
    data = CATALOGUE[event]
    return data.description if data.available else f"{data.description} {ANNOUNCED}"


def envelope(row: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """An event around its `data`, as it is sent. `row` is one of `events` (an asyncpg record or a mapping)."""
    workspace: UUID | None = row["workspace_id"]
    sequence: int = row["sequence"]
    return {
        "id": encode(Prefix.EVENT, row["id"]),
        "type": row["type"],
        "timestamp": rfc3339(row["created_at"]),
        "schema_version": row["schema_version"],
        "resource_id": encode(resource_prefix(row["type"]), row["resource_id"]),
        "sequence": sequence,
        "previous_sequence": sequence - 1 if sequence > 1 else None,
        "organization_id": encode(Prefix.ORGANIZATION, row["organization_id"]),
        "workspace_id": encode(Prefix.WORKSPACE, workspace) if workspace else None,
        "mode": row["mode"],
        "data": data,
    }


def render(row: Mapping[str, Any], *, pin: int | None = None, thin: bool = False) -> bytes:
    """The body of an event: what is signed and sent. `row["payload"]` is a dict or JSON text.

    `pin`: the schema version that the receiver knows; None for the one that it was written in. `thin`: of the data
    only ids. Hot path: in the usual case no model is built, and JSON text is copied rather than parsed.
    """
    payload = row["payload"]
    kind = _class_of(row["type"])
    version: int = row["schema_version"]
    if thin or (pin is not None and pin < version and kind is not None):
        data = orjson.loads(payload) if isinstance(payload, str | bytes) else dict(payload)
        if pin is not None and kind is not None:
            data, version = convert(kind, data, version, version_for(kind, pin))
        if thin:
            ids = _id_names(kind)
            data = {name: value for name, value in data.items() if (name in ids if ids else name.endswith("_id"))}
        return orjson.dumps(envelope(row, data) | {"schema_version": version})
    return orjson.dumps(envelope(row, orjson.Fragment(payload) if isinstance(payload, str | bytes) else payload))


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """The event as filters see it: whole, and in the version that it was written in."""
    payload = row["payload"]
    return envelope(row, orjson.loads(payload) if isinstance(payload, str | bytes) else payload)


def _class_of(event_type: str) -> type[EventData] | None:
    """None for a type that a newer server wrote."""
    try:
        return CATALOGUE.get(EventType(event_type))
    except ValueError:
        return None


@cache
def _id_names(kind: type[EventData] | None) -> frozenset[str]:
    """The members of an event's data that are ids of resources."""
    if kind is None:
        return frozenset()
    properties = kind.model_json_schema(by_alias=True)["properties"]
    found = set()
    for name, schema in properties.items():
        patterns = [choice.get("pattern", "") for choice in (schema, *schema.get("anyOf", ()))]
        if any("_[0-7][0-9a-hjkmnp-tv-z]" in pattern for pattern in patterns):
            found.add(name)
    return frozenset(found)


def example_event(event: EventType) -> dict[str, Any]:
    """A whole event as it would be received, for docs, for the specification and for trying an endpoint."""
    data = CATALOGUE[event]
    return {
        "id": "evt_01k5w8m3xjf2r9v0q4tz7h6cdh",
        "type": event.value,
        "timestamp": "2026-11-24T12:00:00.000Z",
        "schema_version": data.schema_version,
        "resource_id": f"{resource_prefix(event.value)}_01k5w8m3xjf2r9v0q4tz7h6cdf",
        "sequence": 1,
        "previous_sequence": None,
        "organization_id": "org_01k5w8m3xjf2r9v0q4tz7h6cdj",
        "workspace_id": None if data.of_organization else "ws_01k5w8m3xjf2r9v0q4tz7h6cdk",
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
        "description": described(event),
        "x-availability": "available" if data.available else "announced",
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
    families = set()
    for event in CATALOGUE:
        names = event.value.split(".")
        families |= {".".join(names[:length]) + ".*" for length in range(1, len(names))}
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
    "described",
    "document",
    "envelope_model",
    "example_event",
    "known_patterns",
    "matches",
    "openapi_webhooks",
    "render",
    "validate_patterns",
]
