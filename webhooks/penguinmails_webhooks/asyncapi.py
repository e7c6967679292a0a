"""The event catalogue as an AsyncAPI 3.0 document: the same events as the `webhooks` of the OpenAPI document, for tools
that speak about messages."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.events import CATALOGUE, described, envelope_model, example_event

Document = dict[str, Any]

_HEADERS: Document = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The event's id; the same on every repeat"},
        "webhook-timestamp": {"type": "string", "pattern": "^[0-9]+$", "description": "Unix seconds of this attempt"},
        "webhook-signature": {
            "type": "string",
            "description": "`v1,` and base64 of HMAC-SHA256, several with spaces between them (Standard Webhooks)",
        },
    },
}
_DESCRIPTION = """\
Everything that happens is an event. Webhook endpoints get events pushed, signed as Standard Webhooks says;
`GET /v1/events` gives the same events to read at your own pace. The id is the same in both: keep it to know repeats.

Fields are added to events over time and never changed, so pass over those you do not know. `sequence` counts the events
of one resource from 1; a gap to `previous_sequence` tells of one that you have missed or not asked for.
"""


def build(version: str) -> Document:
    """The document. `version` is that of the API."""
    models = [(envelope_model(event), "validation") for event in CATALOGUE]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    messages = {_name(event): _message(event) for event in CATALOGUE}
    families = sorted({event.value.partition(".")[0] for event in CATALOGUE})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "PenguinMails events",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": family} for family in families],
        },
        "defaultContentType": "application/json",
        "channels": {
            "webhook": {
                "address": None,
                "title": "A webhook endpoint",
                "description": "The URL of an endpoint, as `POST /v1/webhook_endpoints` was given it.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {f"send{name}": _operation(event) for name, event in zip(messages, CATALOGUE, strict=True)},
        "components": {"messages": messages, "schemas": definitions["$defs"]},
    }


def _name(event: EventType) -> str:
    return CATALOGUE[event].__name__


def _message(event: EventType) -> Document:
    data = CATALOGUE[event]
    example = example_event(event)
    headers = {"webhook-id": example["id"], "webhook-timestamp": "1795521600", "webhook-signature": "v1,Zm9v"}
    return {
        "name": event.value,
        "title": event.value,
        "summary": described(event),
        "x-availability": "available" if data.available else "announced",
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": {"$ref": f"#/components/schemas/{data.__name__}Event"},
        "tags": [{"name": event.value.partition(".")[0]}],
        "examples": [{"name": data.__name__, "headers": headers, "payload": example}],
    }


def _operation(event: EventType) -> Document:
    """`send`: AsyncAPI 3 speaks from the side of the application that it describes."""
    name = _name(event)
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/webhook"},
        "summary": described(event),
        "messages": [{"$ref": f"#/channels/webhook/messages/{name}"}],
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }
