"""`/v1/event_types`: the catalogue, the same for everybody; and trying filters on it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Database
from penguinmails_core.scopes import Scope
from penguinmails_webhooks.catalogue import CATALOGUE
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_email

PATH = "/v1/event_types"
TRY = "/v1/webhook_endpoints/test_filter"


async def test_all_of_them(client: ApiClient, stranger: Tenant) -> None:
    data = (await client.get(PATH)).json()["data"]
    assert [item["name"] for item in data] == [event.value for event in EventType]
    assert (await client.as_(stranger.test).get(PATH)).json()["data"] == data
    sent = {item["name"] for item in (await client.get(f"{PATH}?availability=available")).json()["data"]}
    announced = {item["name"] for item in (await client.get(f"{PATH}?availability=announced")).json()["data"]}
    assert sent == {event.value for event, model in CATALOGUE.items() if model.available}
    assert sent | announced == {event.value for event in EventType}
    assert "email.delivered" in sent
    assert "campaign.launched" in announced
    problem(await client.get(f"{PATH}?availability=soon"), 422, "validation_failed")


async def test_no_scope_is_needed(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, key = await create_key(database, tenant.id, mode="live", name="x", scopes=[Scope.EMAILS_READ])
    assert (await client.as_(key).get(f"{PATH}/email.delivered")).status_code == 200
    assert (await client.as_(None).get(PATH)).status_code == 401


@pytest.mark.parametrize("event", [EventType.EMAIL_DELIVERED, EventType.MESSAGE_ATTEMPT_EXHAUSTED])
async def test_one_with_its_schema(client: ApiClient, event: EventType) -> None:
    found = (await client.get(f"{PATH}/{event}")).json()
    Draft202012Validator.check_schema(found["json_schema"])
    Draft202012Validator(found["json_schema"]).validate(found["example"])
    assert not Draft202012Validator(found["json_schema"]).is_valid(found["example"] | {"data": {}})
    assert found["example"]["type"] == found["name"] == event.value
    assert found["versions"] == [found["schema_version"]] == [1]
    assert found["family"] == event.value.rpartition(".")[0] + ".*"


@pytest.mark.parametrize("name", ["email.nope", "moon.landed"])
async def test_unknown_ones(client: ApiClient, name: str) -> None:
    assert "email.*" in problem(await client.get(f"{PATH}/{name}"), 404, "not_found")["detail"]


async def test_graphql_shows_the_same(client: ApiClient) -> None:
    query = """{ eventTypes(availability: ANNOUNCED) { name availability }
        eventType(name: "email.delivered") { name family schemaVersion versions jsonSchema example } }"""
    data = (await client.post("/graphql", json={"query": query})).json()["data"]
    announced = (await client.get(f"{PATH}?availability=announced")).json()["data"]
    assert [item["name"] for item in data["eventTypes"]] == [item["name"] for item in announced]
    one = (await client.get(f"{PATH}/email.delivered")).json()
    assert data["eventType"]["jsonSchema"] == one["json_schema"]
    assert data["eventType"]["example"] == one["example"]


async def tried(client: ApiClient, **body: Any) -> dict[str, Any]:
    response = await client.post(TRY, json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_filter_is_tried_on_a_sample(client: ApiClient) -> None:
    found = await tried(client, filter={"data.tags": "order"}, event_type="email.delivered")
    assert (found["matches"], found["failed"]) == (True, [])
    [clause] = found["clauses"]
    assert clause == {
        "pointer": "/filter/data.tags",
        "path": ["data", "tags"],
        "operator": "$eq",
        "operand": "order",
        "found": [["order"], "order"],
        "holds": True,
    }
    given = {"type": "email.delivered", "$not": {"data.smtp.code": {"$lt": 300}}}
    found = await tried(client, filter=given, event_type="email.delivered")
    assert (found["matches"], found["failed"]) == (False, ["/filter/$not"])
    assert [item["holds"] for item in found["clauses"]] == [True, True]


async def test_on_an_event_of_the_log(client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant) -> None:
    await make_email(database, tenant, [Recipient("ada@example.com")])
    [event, *_] = (await client.get("/v1/events")).json()["data"]
    given = {"data.recipient.address": {"$startsWith": "ada@"}}
    assert (await tried(client, filter=given, event_id=event["id"]))["matches"] is True
    query = """query Try($filter: JSON!, $id: ID) { testWebhookFilter(filter: $filter, eventId: $id)
        { matches failed clauses { pointer path operator operand found holds } } }"""
    body = {"query": query, "variables": {"filter": given, "id": event["id"]}}
    answer = (await client.post("/graphql", json=body)).json()["data"]["testWebhookFilter"]
    assert answer == await tried(client, filter=given, event_id=event["id"])
    body = {"filter": given, "event_id": event["id"]}
    problem(await client.as_(stranger.key).post(TRY, json=body), 404, "not_found")
    problem(await client.post(TRY, json=body | {"event_id": "evt_nope"}), 404, "not_found")
    _, key = await create_key(database, tenant.id, mode="live", name="x", scopes=[Scope.WEBHOOK_ENDPOINTS_READ])
    problem(await client.as_(key).post(TRY, json=body), 403, "missing_scope")


async def test_on_an_event_of_ones_own(client: ApiClient) -> None:
    assert (await tried(client, filter={"a.b": 1}, event={"a": [{"b": 1}]}))["matches"] is True
    assert (await tried(client, filter={"a.b": 1}, event={}))["failed"] == ["/filter/a.b"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filter": {"a": 1}}, "/event_id"),
        ({"filter": {"a": 1}, "event": {}, "event_type": "email.sent"}, "/event"),
        ({"filter": {}, "event": {}}, "/filter"),
        ({"filter": {"a": {"$near": 1}}, "event": {}}, "/filter/a/$near"),
        ({"filter": {"a": 1}, "event_type": "email.deliverd"}, "/event_type"),
        ({"filter": {"a": 1}, "event_type": "email.*"}, "/event_type"),
        ({"filter": {"a": 1}, "event": []}, "/event"),
        ({"event": {}}, "/filter"),
    ],
)
async def test_what_is_wrong_is_named(client: ApiClient, body: dict[str, Any], pointer: str) -> None:
    document = problem(await client.post(TRY, json=body), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [pointer]
