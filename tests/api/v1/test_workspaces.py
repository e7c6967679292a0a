"""`/v1/workspaces`: made, changed, archived, deleted when empty, and seen by whom they are for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.workspaces.repository import owned_tables
from penguinmails_core.workspaces.service import slug_of
from tests.api.v1.people import World
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain, make_email, make_workspace

PATH = "/v1/workspaces"


async def create(client: ApiClient, name: str = "Northwind", **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"name": name, **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_a_workspace_is_made_read_and_changed(client: ApiClient) -> None:
    made = await create(client, " Łódź & Söhne ", timezone="Europe/Warsaw")
    assert (made["name"], made["slug"], made["status"], made["is_default"]) == (
        "Łódź & Söhne",
        "odz-sohne",
        "active",
        False,
    )
    path = f"{PATH}/{made['id']}"
    assert (await client.get(path)).json() == made
    body = {"name": "Northwind", "slug": "nw", "timezone": None}
    changed = (await client.patch(path, json=body)).json()
    assert {name: changed[name] for name in body} == body
    assert (await client.patch(path, json={})).json() == changed
    names = [item["name"] for item in (await client.get(PATH)).json()["data"]]
    assert sorted(names) == ["Default", "Northwind"]
    actions = [item["action"] for item in (await client.get("/v1/audit_logs")).json()["data"]][:2]
    assert actions == ["workspace.updated", "workspace.created"]


@pytest.mark.parametrize(
    ("name", "slug"), [("Acme", "acme"), ("???", "workspace"), ("x" * 100, "x" * 45), ("--A  b--", "a-b")]
)
def test_slugs_are_made_from_names(name: str, slug: str) -> None:
    assert slug_of(name) == slug


async def test_slugs_are_unique(client: ApiClient) -> None:
    assert [(await create(client))["slug"] for _ in range(3)] == ["northwind", "northwind-2", "northwind-3"]
    problem(await client.post(PATH, json={"name": "x", "slug": "northwind"}), 409, "conflict")
    other = await create(client, "Other")
    problem(await client.patch(f"{PATH}/{other['id']}", json={"slug": "northwind-2"}), 409, "conflict")
    assert (await client.patch(f"{PATH}/{other['id']}", json={"slug": "other"})).status_code == 200
    answers = await asyncio.gather(*(client.post(PATH, json={"name": "y", "slug": "same"}) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "a\u0000b"}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "x", "slug": "No Slug"}, "/slug"),
        ({"name": "x", "timezone": "Mars/Olympus"}, "/timezone"),
        ({"name": "x", "colour": 1}, "/colour"),
    ],
)
async def test_a_bad_one_names_its_field(client: ApiClient, body: dict[str, Any], pointer: str) -> None:
    document = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert pointer in {error["pointer"] for error in document["errors"]}


async def test_an_empty_one_can_be_deleted(client: ApiClient) -> None:
    made = await create(client)
    assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204
    problem(await client.get(f"{PATH}/{made['id']}"), 404, "not_found")


async def test_what_it_owns_keeps_it(client: ApiClient, database: Database, tenant: Tenant) -> None:
    made = await create(client)
    path, workspace_id = f"{PATH}/{made['id']}", ids.decode("ws", made["id"])
    await make_email(database, tenant, workspace_id=workspace_id)
    document = problem(await client.delete(path), 409, "conflict")
    assert document["owns"] == ["email_messages"]
    archived = await client.post(f"{path}/archive")
    assert archived.json()["status"] == "archived"
    assert (await client.post(f"{path}/archive")).json() == archived.json()
    assert [item["id"] for item in (await client.get(PATH, params={"status": "archived"})).json()["data"]] == [
        made["id"]
    ]
    assert made["id"] not in (await client.get(PATH, params={"status": "active"})).text
    restored = await client.post(f"{path}/restore")
    assert (restored.json()["status"], restored.json()["archived_at"]) == ("active", None)


async def test_every_owned_table_keeps_it(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """A table that gets a workspace_id counts by itself."""
    names = {table.name for table in owned_tables()}
    assert {"domains", "email_messages", "webhook_endpoints", "api_keys", "suppressions"} <= names
    assert not {"events", "audit_logs", "workspace_members"} & names


async def test_what_works_in_it_keeps_it_from_the_archive(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    made = await create(client)
    path, workspace_id = f"{PATH}/{made['id']}", ids.decode("ws", made["id"])
    domain_id = await make_domain(database, tenant, "acme.test", workspace_id=workspace_id)
    key, secret = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace_id)
    body = {"url": "https://hooks.example.com/in", "events": ["*"]}
    endpoint = (await client.as_(secret).post("/v1/webhook_endpoints", json=body)).json()
    document = problem(await client.post(f"{path}/archive"), 409, "conflict")
    assert document["owns"] == ["domains", "webhook_endpoints", "api_keys"]
    await client.delete(f"/v1/domains/{ids.encode('dom', domain_id)}")
    await client.patch(f"/v1/webhook_endpoints/{endpoint['id']}", json={"status": "disabled"})
    await client.delete(f"/v1/api_keys/{ids.encode('key', key.id)}")
    answer = await client.post(f"{path}/archive")
    assert answer.status_code == 200, answer.text


async def test_the_default_one_stays(client: ApiClient, tenant: Tenant) -> None:
    path = f"{PATH}/{ids.encode('ws', tenant.workspace_id)}"
    problem(await client.post(f"{path}/archive"), 409, "conflict")
    problem(await client.delete(path), 409, "conflict")
    assert (await client.patch(path, json={"name": "Main"})).json()["name"] == "Main"


async def test_a_bound_key_sees_its_own_only(client: ApiClient, database: Database, tenant: Tenant) -> None:
    mine = await make_workspace(database, tenant.id, "mine")
    _, secret = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=mine)
    bound = client.as_(secret)
    assert [item["slug"] for item in (await bound.get(PATH)).json()["data"]] == ["mine"]
    problem(await bound.get(f"{PATH}/{ids.encode('ws', tenant.workspace_id)}"), 404, "not_found")
    problem(await bound.post(PATH, json={"name": "more"}), 403, "forbidden")
    path = f"{PATH}/{ids.encode('ws', mine)}"
    assert (await bound.patch(path, json={"name": "Renamed"})).json()["name"] == "Renamed"
    for action in ("archive", "restore"):
        problem(await bound.post(f"{path}/{action}"), 403, "forbidden")
    problem(await bound.delete(path), 403, "forbidden")


async def test_a_limited_member_sees_those_to_choose_from(world: World, database: Database) -> None:
    one, two, three = [await make_workspace(database, world.tenant.id, slug) for slug in ("one", "two", "three")]
    _, browser = await world.join(workspaces={one: "viewer", two: "viewer"})
    assert {item["slug"] for item in (await browser.get(PATH)).json()["data"]} == {"one", "two"}
    problem(await browser.get(f"{PATH}/{ids.encode('ws', three)}"), 404, "not_found")


async def test_test_keys_read_and_change_nothing(client: ApiClient, tenant: Tenant) -> None:
    made = await create(client)
    test = client.as_(tenant.test)
    assert (await test.get(f"{PATH}/{made['id']}")).json() == made
    problem(await test.post(PATH, json={"name": "x"}), 403, "live_mode_required")
    problem(await test.patch(f"{PATH}/{made['id']}", json={"name": "x"}), 403, "live_mode_required")
    problem(await test.delete(f"{PATH}/{made['id']}"), 403, "live_mode_required")


async def test_a_stale_change_is_refused(client: ApiClient) -> None:
    made = await create(client)
    path = f"{PATH}/{made['id']}"
    etag = (await client.get(path)).headers["etag"]
    assert (await client.patch(path, json={"name": "a"}, headers={"If-Match": etag})).status_code == 200
    problem(await client.patch(path, json={"name": "b"}, headers={"If-Match": etag}), 412, "precondition_failed")
    problem(await client.delete(path, headers={"If-Match": etag}), 412, "precondition_failed")
