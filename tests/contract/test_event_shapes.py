"""Events keep their shape: each released version of each event, against today. Every kind of break shows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from scripts.contract_diff import compare, pairs

from penguinmails_api.openapi.document import render
from penguinmails_core.events.types import EventType
from penguinmails_webhooks.event_types import released_shapes
from tests.conftest import ROOT

Shapes = dict[str, Any]
TODAY = released_shapes()
RELEASED = sorted((ROOT / "openapi" / "released").glob("events-*.json"))


def test_the_checked_in_file_is_the_generated_one() -> None:
    kept = (ROOT / "openapi" / "events.json").read_text(encoding="utf-8")
    assert kept == render(TODAY), "run `python -m penguinmails_api.openapi` and read the difference"


def test_what_was_promised_is_kept() -> None:
    assert RELEASED
    for path in RELEASED:
        broken = [str(change) for change in compare(json.loads(path.read_text()), TODAY) if change.breaking]
        assert not broken, f"{path.name}: make it a new schema version instead, see catalogue.py"
    assert {path for path, _ in pairs(ROOT / "openapi")} >= set(RELEASED)


def test_every_event_is_there_in_every_version() -> None:
    assert {name.partition("@")[0] for name in TODAY["webhooks"]} == {event.value for event in EventType}


def data_of(shapes: Shapes) -> dict[str, Any]:
    found: dict[str, Any] = shapes["components"]["schemas"]["EmailBounced"]
    return found


def envelope_of(shapes: Shapes) -> dict[str, Any]:
    found: dict[str, Any] = shapes["webhooks"]["email.bounced@1"]["post"]["requestBody"]["content"]["application/json"]
    schema: dict[str, Any] = found["schema"]
    return schema


BREAKS: dict[str, Callable[[Shapes], Any]] = {
    "event-removed": lambda shapes: shapes["webhooks"].pop("email.bounced@1"),
    "field-removed": lambda shapes: data_of(shapes)["properties"].pop("subject"),
    "field-renamed": lambda shapes: data_of(shapes)["properties"].update(
        title=data_of(shapes)["properties"].pop("subject")
    ),
    "type-changed": lambda shapes: data_of(shapes)["properties"]["subject"].update(type="integer"),
    "null-added": lambda shapes: data_of(shapes)["properties"].update(
        reason={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "field-optional": lambda shapes: data_of(shapes)["required"].remove("reason"),
    "pattern-changed": lambda shapes: data_of(shapes)["properties"]["email_id"].update(pattern="^eml_"),
    "version-changed": lambda shapes: envelope_of(shapes)["properties"]["schema_version"].update({"const": 2}),
    "type-name-changed": lambda shapes: envelope_of(shapes)["properties"]["type"].update({"const": "email.bounce"}),
    "envelope-field-removed": lambda shapes: envelope_of(shapes)["properties"].pop("sequence"),
    "deep-field-removed": lambda shapes: shapes["components"]["schemas"]["SmtpReply"]["properties"].pop("code"),
    "list-items-changed": lambda shapes: data_of(shapes)["properties"]["tags"]["items"].update(type="object"),
}
ADDITIONS: dict[str, Callable[[Shapes], Any]] = {
    "field-added": lambda shapes: data_of(shapes)["properties"].update(colour={"type": "string"}),
    "required-field-added": lambda shapes: (
        data_of(shapes)["properties"].update(colour={"type": "string"}),
        data_of(shapes)["required"].append("colour"),
    ),
    "event-added": lambda shapes: shapes["webhooks"].update({"moon.landed@1": shapes["webhooks"]["email.bounced@1"]}),
    "version-added": lambda shapes: shapes["webhooks"].update({"email.bounced@2": shapes["webhooks"]["email.sent@1"]}),
    "description-changed": lambda shapes: data_of(shapes).update(description="Other words"),
    "less-null": lambda shapes: data_of(shapes)["properties"].update(attempt={"type": "integer", "minimum": 1}),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_each_kind_of_break_is_caught(kind: str) -> None:
    changed = copy.deepcopy(TODAY)
    BREAKS[kind](changed)
    assert any(change.breaking for change in compare(TODAY, changed)), kind


@pytest.mark.parametrize("kind", ADDITIONS)
def test_additions_are_no_breaks(kind: str) -> None:
    changed = copy.deepcopy(TODAY)
    ADDITIONS[kind](changed)
    assert changed != TODAY
    assert not [str(change) for change in compare(TODAY, changed) if change.breaking]
