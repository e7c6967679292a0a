"""The catalogue for people and tools: what each event means, its JSON schema, an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from penguinmails_core.errors import NotFound
from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import CATALOGUE
from penguinmails_webhooks.events import envelope_model, example_event, known_patterns, older_envelope

AVAILABLE, ANNOUNCED = "available", "announced"


@dataclass(frozen=True, slots=True)
class EventTypeFacts:
    """`family`: the pattern that covers it and its like. `versions`: all that can be asked for, the newest first."""

    name: str
    family: str
    availability: str
    schema_version: int
    versions: tuple[int, ...]
    description: str


def event_types() -> Iterator[EventTypeFacts]:
    """All of them, in the order of the catalogue."""
    return (_facts(event) for event in CATALOGUE)


def event_type(name: str) -> EventTypeFacts:
    """Raises `NotFound`, naming near ones."""
    return _facts(named(name))


def named(name: str) -> EventType:
    """Raises `NotFound`."""
    try:
        return EventType(name)
    except ValueError:
        families = ", ".join(pattern for pattern in known_patterns() if pattern.endswith(".*"))
        raise NotFound(f"There is no such event type. There are the families {families}.") from None


def _facts(event: EventType) -> EventTypeFacts:
    data = CATALOGUE[event]
    return EventTypeFacts(
        name=event.value,
        family=event.value.rpartition(".")[0] + ".*",
        availability=AVAILABLE if data.available else ANNOUNCED,
        schema_version=data.schema_version,
        versions=(data.schema_version, *(older.version for older in data.older)),
        description=data.description,
    )


@cache
def json_schema(name: str) -> dict[str, Any]:
    """JSON Schema 2020-12 of the event as it is sent, in its newest version."""
    schema = envelope_model(named(name)).model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def example(name: str) -> dict[str, Any]:
    """A whole event as it would be received."""
    return example_event(named(name))


def released_shapes() -> dict[str, Any]:
    """Every event in every version, written like the `webhooks` of an OpenAPI document, one as ``email.sent@1``: what
    has been promised, to hold later shapes against (`scripts/contract_diff.py`)."""
    webhooks, schemas = {}, {}
    for event, data in CATALOGUE.items():
        models = [(data.schema_version, envelope_model(event))]
        models += [(older.version, older_envelope(event, older)) for older in data.older]
        for version, model in models:
            schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            content = {"application/json": {"schema": schema}}
            webhooks[f"{event.value}@{version}"] = {"post": {"requestBody": {"content": content}}}
    return {"paths": {}, "webhooks": webhooks, "components": {"schemas": dict(sorted(schemas.items()))}}
