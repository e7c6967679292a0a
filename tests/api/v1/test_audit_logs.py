"""`/v1/audit_logs`, filled by real changes through the API."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from penguinmails_api.v1.audit_logs.export import csv_head, csv_lines
from penguinmails_api.v1.audit_logs.schemas import AuditLog
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.audit import service
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.audit.verification import verify
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.scopes import ALL_SCOPES, Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace

PATH = "/v1/audit_logs"
HOOKS = "/v1/webhook_endpoints"


async def make_endpoint(client: ApiClient) -> dict[str, Any]:
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"], "description": "Orders"}
    response = await client.post(HOOKS, json=body)
    assert response.status_code == 201
    made: dict[str, Any] = response.json()
    return made


async def logged(client: ApiClient, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    data: list[dict[str, Any]] = response.json()["data"]
    return data


async def test_the_life_of_a_webhook_endpoint(client: ApiClient, database: Database, tenant: Tenant) -> None:
    made = await make_endpoint(client)
    place = f"{HOOKS}/{made['id']}"
    changed = await client.patch(place, json={"status": "disabled"}, headers={"User-Agent": "ops/1"})
    await client.patch(place, json={"description": "Orders"})  # changes nothing, so nothing is written
    rotated = await client.post(f"{place}/rotate_secret")
    await client.delete(place)
    deleted, rotation, update, creation = await logged(client, resource_id=made["id"])
    verbs = [entry["action"].partition(".")[2] for entry in (creation, update, rotation, deleted)]
    assert verbs == ["created", "updated", "secret_rotated", "deleted"]
    assert (creation["before"], creation["after"]["url"]) == (None, "https://hooks.example.com/in")
    assert (update["before"], update["after"]) == (
        {"status": "enabled", "disabled_reason": None},
        {"status": "disabled", "disabled_reason": "manual"},
    )
    assert update["request_id"] == changed.headers["request-id"]
    assert (update["ip"], update["user_agent"]) == ("127.0.0.1", "ops/1")
    assert update["actor"] == {
        "kind": "api_key",
        "id": ids.encode(Prefix.API_KEY, tenant.live_key.id),
        "user_id": None,
        "label": "live",
    }
    assert update["resource"] == {"type": "webhook_endpoint", "id": made["id"]}
    assert update["previous_hash"] == creation["hash"]
    assert (deleted["before"]["description"], deleted["after"]) == ("Orders", None)
    text = json.dumps([deleted, rotation, update, creation])
    assert made["secret"] not in text
    assert rotated.json()["secret"] not in text
    assert "whsec_" not in text
    assert (await verify(database, tenant.id)).broken is None


async def test_get_one(client: ApiClient, stranger: Tenant) -> None:
    await make_endpoint(client)
    entry = (await logged(client))[0]
    assert (await client.get(f"{PATH}/{entry['id']}")).json() == entry
    problem(await client.as_(stranger.key).get(f"{PATH}/{entry['id']}"), 404, "not_found")
    problem(await client.get(f"{PATH}/aud_x"), 404, "not_found")


async def test_pages_both_ways(client: ApiClient) -> None:
    for _ in range(3):
        await make_endpoint(client)
    everything = await logged(client, limit=100)
    first = (await client.get(PATH, params={"limit": 2})).json()
    assert (first["data"], first["has_more"]) == (everything[:2], True)
    second = (await client.get(PATH, params={"limit": 2, "after": first["next_cursor"]})).json()
    assert second["data"] == everything[2:4]
    back = (await client.get(PATH, params={"limit": 1, "before": first["next_cursor"]})).json()
    assert back["data"] == everything[:1]
    problem(await client.get(PATH, params={"after": "x"}), 422, "validation_failed")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"action": "webhook_endpoint.created"}, 1),
        ({"action": "webhook_endpoint.*"}, 2),
        ({"action": ["webhook_endpoint.updated", "domain.*"]}, 1),
        ({"action": "webhook_endpoint.deleted"}, 0),
        ({"actor_kind": "api_key"}, 2),
        ({"actor_kind": "system"}, 0),
        ({"resource_type": "webhook_endpoint"}, 2),
        ({"since": "2000-01-01T00:00:00Z", "resource_type": "webhook_endpoint"}, 2),
        ({"until": "2000-01-01T00:00:00Z"}, 0),
    ],
)
async def test_filters(client: ApiClient, params: dict[str, Any], expected: int) -> None:
    made = await make_endpoint(client)
    await client.patch(f"{HOOKS}/{made['id']}", json={"description": "New"})
    assert len(await logged(client, **params)) == expected


async def test_by_actor(client: ApiClient, tenant: Tenant) -> None:
    await make_endpoint(client)
    mine = ids.encode(Prefix.API_KEY, tenant.live_key.id)
    assert {entry["actor"]["id"] for entry in await logged(client, actor_id=mine)} == {mine}
    assert await logged(client, actor_id=ids.encode(Prefix.USER, new_uuid())) == []


@pytest.mark.parametrize(
    "params",
    [{"action": "create"}, {"actor_id": "org_x"}, {"resource_id": "nope"}, {"since": "yesterday"}, {"what": "1"}],
)
async def test_what_is_wrong_is_named(client: ApiClient, params: dict[str, str]) -> None:
    document = problem(await client.get(PATH, params=params), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == next(iter(params))


async def test_who_sees_what(client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant) -> None:
    workspace = await make_workspace(database, tenant.id, "brand")
    _, bound = await create_key(
        database, tenant.id, mode="live", name="brand", scopes=ALL_SCOPES, workspace_id=workspace
    )
    await make_endpoint(client)
    test_made = await make_endpoint(client.as_(tenant.test))
    bound_made = await make_endpoint(client.as_(bound))
    seen = {entry["resource"]["id"] for entry in await logged(client.as_(tenant.test))}
    assert seen == {test_made["id"]}
    assert bound_made["id"] in {entry["resource"]["id"] for entry in await logged(client.as_(bound))}
    assert test_made["id"] not in {entry["resource"]["id"] for entry in await logged(client.as_(bound))}
    assert {test_made["id"], bound_made["id"]} <= {entry["resource"]["id"] for entry in await logged(client)}
    foreign = {entry["resource"]["id"] for entry in await logged(client.as_(stranger.key))}
    assert not foreign & {test_made["id"], bound_made["id"]}


async def test_a_scope_is_needed(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, plain = await create_key(database, tenant.id, mode="live", name="x", scopes=[Scope.EVENTS_READ])
    for place in ("", "/export/csv", "/export/jsonl"):
        problem(await client.as_(plain).get(PATH + place), 403, "missing_scope")


@pytest.fixture
async def many(database: Database, tenant: Tenant) -> int:
    """More entries than one page of an export."""
    count = service.EXPORT_PAGE + 3
    async with database.tenant(tenant.id) as session:
        for number in range(count):
            resource = Resource(Prefix.DOMAIN, new_uuid())
            await service.record(session, Actor.operator(tenant.id), "domain.updated", resource, after={"n": number})
    return count


async def test_export_as_json_lines(client: ApiClient, many: int) -> None:
    response = await client.get(f"{PATH}/export/jsonl", params={"action": "domain.*"})
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert response.headers["export-total"] == str(many) == str(len(lines))
    assert [line["after"]["n"] for line in lines] == list(range(many))
    assert (await client.get(f"{PATH}/{lines[0]['id']}")).json() == lines[0]


async def test_export_as_csv(client: ApiClient, many: int) -> None:
    response = await client.get(f"{PATH}/export/csv", params={"action": "domain.*"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == many
    assert (rows[0]["actor_kind"], json.loads(rows[-1]["after"])) == ("operator", {"n": many - 1})


async def test_an_export_of_nothing(client: ApiClient) -> None:
    params = {"until": "2000-01-01T00:00:00Z"}
    assert (await client.get(f"{PATH}/export/jsonl", params=params)).text == ""
    assert (await client.get(f"{PATH}/export/csv", params=params)).content == csv_head()


async def test_an_export_is_bounded(client: ApiClient, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_EXPORT", many - 1)
    document = problem(await client.get(f"{PATH}/export/jsonl"), 422, "validation_failed")
    assert "since" in document["detail"]


async def test_no_cell_is_a_formula(client: ApiClient) -> None:
    await make_endpoint(client)
    entry = AuditLog.model_validate((await logged(client))[0])
    entry.actor.label = "=cmd|'/c calc'!A1"
    assert ",'=cmd|" in csv_lines([entry]).decode()
