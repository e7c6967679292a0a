"""The catalogue against the code: what is said to be sent is written somewhere, and nothing else is; its versions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import CATALOGUE, LATEST_VERSION, EventData, Older, version_for
from penguinmails_webhooks.events import document, envelope_model, example_event, openapi_webhooks, render
from penguinmails_webhooks.payloads import EmailId, Part
from tests.webhooks.test_events import row

ROOT = Path(__file__).parents[2]
COMPONENTS = ("core", "api", "graphql", "webhooks", "sender", "integrations")
READERS = {
    "core/penguinmails_core/events/types.py": "names them all",
    "core/penguinmails_core/usage/delivery_repository.py": "counts what was sent",
    "webhooks/penguinmails_webhooks/fanout.py": "passes over tests",
}


def named_in(source: str) -> set[EventType]:
    """Every `EventType.NAME` of a module."""
    return {
        EventType[node.attr]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "EventType"
        and node.attr in EventType.__members__
    }


def written() -> dict[EventType, list[str]]:
    found: dict[EventType, list[str]] = {}
    for component in COMPONENTS:
        for path in sorted((ROOT / component).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name in READERS or (component == "webhooks" and path.stem.endswith("events")):
                continue
            for event in named_in(path.read_text(encoding="utf-8")):
                found.setdefault(event, []).append(name)
    return found


def test_what_is_available_is_written_and_what_is_announced_is_not() -> None:
    places = written()
    missing = [event.value for event, data in CATALOGUE.items() if data.available and event not in places]
    assert not missing, f"said to be sent, and nothing writes them: {missing}"
    early = {event.value: places[event] for event, data in CATALOGUE.items() if not data.available and event in places}
    assert not early, f"written, and the catalogue says that they are still to come: {early}"


def test_the_search_finds_writers() -> None:
    """A search that finds nothing would pass whatever is said."""
    assert named_in("x(EventType.EMAIL_SENT); y = EventType.EMAIL_FAILED.value; EventType.NOPE") == {
        EventType.EMAIL_SENT,
        EventType.EMAIL_FAILED,
    }
    assert "core/penguinmails_core/emails/service.py" in written()[EventType.EMAIL_CANCELLED]
    for name in READERS:
        assert (ROOT / name).exists(), f"{name} is gone: take it off the list"


def test_documents_tell_what_is_announced() -> None:
    webhooks, _ = openapi_webhooks()
    for event, data in CATALOGUE.items():
        operation = webhooks[event.value]["post"]
        assert operation["x-availability"] == ("available" if data.available else "announced")
        assert ("Announced" in operation["description"]) is not data.available


@pytest.mark.parametrize("event", list(EventType))
def test_a_thin_event_holds_ids_and_nothing_about_people(event: EventType) -> None:
    whole = example_event(event)
    thin = orjson.loads(render(row(event, dict(CATALOGUE[event].example)), thin=True))
    assert thin.keys() == whole.keys()
    assert all(name.endswith("_id") for name in thin["data"])
    assert all(value is None or value == whole["data"][name] for name, value in thin["data"].items())
    assert "@" not in str(thin["data"])  # no addresses, and no Message-ID of the mail
    if event.value.startswith("email."):
        assert {"email_id", "recipient_id"} <= thin["data"].keys()


def test_a_thin_event_of_a_type_that_a_newer_server_wrote() -> None:
    strange = row(EventType.EMAIL_SENT, {"moon_id": "1", "address": "ada@example.com"}, type="moon.landed")
    assert orjson.loads(render(strange, thin=True))["data"] == {"moon_id": "1"}


def test_filters_see_what_is_sent() -> None:
    for payload in ({"a": {"b": 1}}, '{"a": {"b": 1}}'):
        found = row(EventType.EMAIL_SENT, payload)
        assert document(found) == orjson.loads(render(found))


# An event with three versions, for this test only.


class _First(Part):
    email_id: EmailId
    code: int


class _Second(Part):
    email_id: EmailId
    reply: str


EMAIL = "msg_01k5w8m3xjf2r9v0q4tz7h6cde"


@pytest.fixture
def grown() -> Iterator[type[EventData]]:
    before = CATALOGUE[EventType.WEBHOOK_TEST]

    class Grown(
        EventData,
        event=EventType.WEBHOOK_TEST,
        example={"email_id": EMAIL, "smtp": {"code": 250, "text": "Ok"}},
        version=5,
        older=(
            Older(
                3,
                _Second,
                {"email_id": EMAIL, "reply": "250 Ok"},
                lambda data: {
                    "email_id": data["email_id"],
                    "reply": f"{data['smtp']['code']} {data['smtp']['text']}",
                },
            ),
            Older(
                1,
                _First,
                {"email_id": EMAIL, "code": 250},
                lambda data: {"email_id": data["email_id"], "code": int(data["reply"].partition(" ")[0])},
            ),
        ),
    ):
        """An event that has changed its shape twice."""

        email_id: EmailId
        smtp: dict[str, Any] = Field(description="What was said")

    yield Grown
    CATALOGUE[EventType.WEBHOOK_TEST] = before


@pytest.mark.parametrize(
    ("pin", "version", "data"),
    [
        (None, 5, {"email_id": EMAIL, "smtp": {"code": 250, "text": "Ok"}}),
        (9, 5, {"email_id": EMAIL, "smtp": {"code": 250, "text": "Ok"}}),
        (5, 5, {"email_id": EMAIL, "smtp": {"code": 250, "text": "Ok"}}),
        (4, 3, {"email_id": EMAIL, "reply": "250 Ok"}),
        (3, 3, {"email_id": EMAIL, "reply": "250 Ok"}),
        (2, 1, {"email_id": EMAIL, "code": 250}),
        (1, 1, {"email_id": EMAIL, "code": 250}),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_pinned_endpoint_gets_the_shape_that_it_knows(
    grown: type[EventData], pin: int | None, version: int, data: dict[str, Any], as_text: bool
) -> None:
    payload: Any = dict(grown.example)
    found = row(EventType.WEBHOOK_TEST, orjson.dumps(payload).decode() if as_text else payload, schema_version=5)
    body = orjson.loads(render(found, pin=pin))
    assert (body["schema_version"], body["data"]) == (version, data)
    if pin is not None:
        assert version_for(grown, pin) == version
    assert payload == grown.example  # what is kept is not changed


def test_each_converter_makes_what_the_older_model_says(grown: type[EventData]) -> None:
    data = dict(grown.example)
    for older in grown.older:
        data = older.convert(data)
        assert older.model.model_validate(data).model_dump(by_alias=True) == data == older.example


def test_old_data_is_not_made_newer(grown: type[EventData]) -> None:
    found = row(EventType.WEBHOOK_TEST, {"email_id": EMAIL, "code": 250}, schema_version=1)
    assert orjson.loads(render(found, pin=4))["data"] == {"email_id": EMAIL, "code": 250}


def test_thin_and_pinned(grown: type[EventData]) -> None:
    body = orjson.loads(render(row(EventType.WEBHOOK_TEST, dict(grown.example), schema_version=5), pin=1, thin=True))
    assert (body["schema_version"], body["data"]) == (1, {"email_id": EMAIL})


def test_versions_are_numbers_of_the_whole_catalogue() -> None:
    for event, data in CATALOGUE.items():
        versions = [data.schema_version, *(older.version for older in data.older)]
        assert versions == sorted(set(versions), reverse=True), event
        assert set(versions) <= set(range(1, LATEST_VERSION + 1)), event
        sample = dict(data.example)
        for older in data.older:
            sample = older.convert(sample)
            older.model.model_validate(sample)
        envelope_model(event).model_validate(example_event(event))
