"""The catalogue: complete, true to what is rendered, and usable as a specification."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import ValidationError

from penguinmails_core.emails.payload import email_data
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix, decode, encode, new_uuid
from penguinmails_webhooks.events import (
    CATALOGUE,
    RESOURCES,
    InvalidPatterns,
    envelope_model,
    example_event,
    known_patterns,
    matches,
    openapi_webhooks,
    render,
    validate_patterns,
)

EMAIL_EVENTS = [event for event in EventType if event.value.startswith("email.")]


def row(event: EventType, data: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": new_uuid(),
        "organization_id": new_uuid(),
        "workspace_id": new_uuid(),
        "mode": "live",
        "type": event.value,
        "resource_id": new_uuid(),
        "sequence": 3,
        "schema_version": 1,
        "payload": data,
        "created_at": utcnow(),
        **changes,
    }


def test_every_event_has_one_class_and_none_has_two() -> None:
    assert list(CATALOGUE) == list(EventType)
    assert len(set(CATALOGUE.values())) == len(CATALOGUE)
    for event, model in CATALOGUE.items():
        assert model.event is event
        assert len(model.description) > 20
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", event.value)


@pytest.mark.parametrize("event", list(EventType))
def test_what_is_rendered_is_what_the_model_says(event: EventType) -> None:
    """Equal after a round trip: a field the model does not know, or one it would change, shows."""
    example = dict(CATALOGUE[event].example)
    body = render(row(event, example))
    parsed = envelope_model(event).model_validate_json(body)
    assert json.loads(parsed.model_dump_json(by_alias=True)) == orjson.loads(body)
    assert set(CATALOGUE[event].model_fields) == {{"from": "from_", "class": "class_"}.get(key, key) for key in example}


@pytest.mark.parametrize("event", EMAIL_EVENTS)
def test_the_data_that_writers_make_fits_the_model(event: EventType) -> None:
    """The accept path and the sender build `data` with `email_data`; the catalogue must agree with it."""
    made = email_data(
        email_id=encode(Prefix.EMAIL, new_uuid()),
        recipient_id=encode(Prefix.RECIPIENT, new_uuid()),
        kind="bcc",
        address="ada@example.com",
        name=None,
        from_address="hello@penguins.example",
        from_domain="penguins.example",
        subject="Grüße",
        message_class="campaign",
        tags=["a"],
        metadata={"k": "v"},
    )
    extra = {key: value for key, value in CATALOGUE[event].example.items() if key not in made}
    body = render(row(event, made | extra))
    parsed = envelope_model(event).model_validate_json(body)
    assert json.loads(parsed.model_dump_json(by_alias=True)) == orjson.loads(body)


def test_models_can_fail() -> None:
    model = envelope_model(EventType.EMAIL_BOUNCED)
    good = example_event(EventType.EMAIL_BOUNCED)
    model.model_validate(good)
    for change in (
        {"type": "email.sent"},
        {"timestamp": "2026-11-24T12:00:00Z"},
        {"id": "evt_1"},
        {"mode": "prod"},
        {"data": good["data"] | {"email_id": "rcp_01k5w8m3xjf2r9v0q4tz7h6cde"}},
        {"data": {key: value for key, value in good["data"].items() if key != "reason"}},
    ):
        with pytest.raises(ValidationError):
            model.model_validate(good | change)
    model.model_validate(good | {"later": 1, "data": good["data"] | {"later": 1}})  # fields may be added


def test_the_envelope() -> None:
    moment = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
    source = row(EventType.EMAIL_SENT, {"a": 1}, created_at=moment, mode="test")
    event = orjson.loads(render(source))
    assert list(event) == [
        "id",
        "type",
        "timestamp",
        "schema_version",
        "resource_id",
        "sequence",
        "previous_sequence",
        "organization_id",
        "workspace_id",
        "mode",
        "data",
    ]
    assert decode("evt", event["id"]) == source["id"]
    assert decode("org", event["organization_id"]) == source["organization_id"]
    assert decode("ws", event["workspace_id"]) == source["workspace_id"]
    assert (event["timestamp"], event["mode"], event["data"]) == ("2026-11-24T12:00:00.123Z", "test", {"a": 1})
    assert (event["sequence"], event["previous_sequence"]) == (3, 2)
    first = orjson.loads(render(source | {"sequence": 1, "workspace_id": None}))
    assert (first["sequence"], first["previous_sequence"], first["workspace_id"]) == (1, None, None)


@pytest.mark.parametrize("event", [event for event in EventType if CATALOGUE[event].available])
def test_every_event_says_whose_sequence_it_counts(event: EventType) -> None:
    source = row(event, {})
    assert (
        decode(RESOURCES[event.value.partition(".")[0]], orjson.loads(render(source))["resource_id"])
        == (source["resource_id"])
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=4))
def test_a_payload_as_json_text_renders_like_the_object(data: Mapping[str, Any]) -> None:
    source = row(EventType.EMAIL_SENT, data)
    as_object = render(source)
    assert orjson.loads(as_object)["data"] == data
    assert render(source | {"payload": orjson.dumps(data)}) == as_object
    assert render(source | {"payload": orjson.dumps(data).decode()}) == as_object


def test_the_specification_is_valid_and_its_examples_are_too() -> None:
    webhooks, schemas = openapi_webhooks()
    assert set(webhooks) == {event.value for event in EventType}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "webhooks": webhooks,
        "components": {"schemas": schemas},
    }
    OpenAPIV31SpecValidator(cast(Any, document)).validate()
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(schemas)  # the validator does not notice dangling references under `webhooks`
    operation_ids = [path["post"]["operationId"] for path in webhooks.values()]
    assert len(set(operation_ids)) == len(operation_ids)
    for event in EventType:
        content = webhooks[event.value]["post"]["requestBody"]["content"]["application/json"]
        schema = content["schema"] | {"components": {"schemas": schemas}}
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        validator.validate(content["example"])
        assert not validator.is_valid(content["example"] | {"type": "something.else"})


def test_matches() -> None:
    assert matches(["email.delivered"], "email.delivered")
    assert not matches(["email.delivered"], "email.delivery_delayed")
    assert matches(["email.*"], "email.delivered")
    assert not matches(["email.*"], "webhook.test")
    assert not matches(["webhook.*"], "webhook_endpoint.disabled")
    assert matches(["webhook.test", "email.*"], "email.queued")
    assert all(matches(["*"], event) for event in EventType)
    assert not matches([], "email.queued")
    assert not matches(["email*", "email.", ".*", "email", ""], "email.queued")


def test_every_known_pattern_covers_something() -> None:
    for pattern in known_patterns():
        assert any(matches([pattern], event) for event in EventType)
    assert validate_patterns(known_patterns()) == known_patterns()


def test_patterns_are_deduplicated_in_order() -> None:
    assert validate_patterns(["email.sent", "*", "email.sent"]) == ["email.sent", "*"]


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("email.deliverd", "email.delivered"),
        ("emails.*", "email.*"),
        ("EMAIL.SENT", "email.sent"),
        ("email.bounce", "email.bounced"),
        ("webhook_endpoints.disabled", "webhook_endpoint.disabled"),
        ("qqq", "email.*"),  # nothing is near: the families are listed
        ("**", "did you mean *?"),
    ],
)
def test_an_unknown_pattern_is_refused_with_the_nearest_names(pattern: str, near: str) -> None:
    with pytest.raises(InvalidPatterns) as caught:
        validate_patterns(["email.sent", pattern])
    (error,) = caught.value.errors
    assert (error.pointer, error.code) == ("/events/1", "unknown_event")
    assert near in error.detail
    assert pattern in error.detail


def test_every_bad_pattern_is_named_at_once_and_none_at_all_is_bad_too() -> None:
    with pytest.raises(InvalidPatterns) as caught:
        validate_patterns(["x" * 10_000, "email.sent", "nope"], pointer="/data/events")
    assert [error.pointer for error in caught.value.errors] == ["/data/events/0", "/data/events/2"]
    assert all(len(error.detail) < 600 for error in caught.value.errors)
    with pytest.raises(InvalidPatterns) as caught:
        validate_patterns([])
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/events", "required")]
