"""`/v1/roles`: the built-in ones as data, and custom ones that never hold more than their maker."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.custom_roles.service import MAX_ROLES
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.roles import OrganizationRole, scopes_of
from tests.api.v1.people import World, member_path
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace
from tests.fixtures.people import make_role

PATH = "/v1/roles"


async def create(client: ApiClient, name: str = "Copywriter", **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"name": name, "scopes": ["emails:write"], **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_built_in_roles_come_first_with_their_scopes(client: ApiClient) -> None:
    made = await create(client)
    found = (await client.get(PATH)).json()["data"]
    assert [item["role"] for item in found] == [*OrganizationRole, "custom"]
    for item in found[:-1]:
        assert (item["id"], item["kind"]) == (None, "built_in")
        assert set(item["scopes"]) == scopes_of(item["role"])
        assert item["description"]
    assert found[-1] == made


async def test_a_custom_role_is_made_changed_and_deleted(world: World) -> None:
    client = world.client
    made = await create(client, description=" Writes mail ")
    assert (made["scopes"], made["description"]) == (["emails:read", "emails:write"], "Writes mail")
    path = f"{PATH}/{made['id']}"
    assert (await client.get(path)).json() == made
    person, browser = await world.join(custom_role_id=ids.decode("rol", made["id"]))
    problem(await browser.get("/v1/events"), 403, "missing_scope")
    changed = (await client.patch(path, json={"scopes": ["events:read"], "name": "Reader"})).json()
    assert (changed["name"], changed["scopes"]) == ("Reader", ["events:read"])
    assert (await browser.get("/v1/events")).status_code == 200
    problem(await client.delete(path), 409, "conflict")
    assert (await client.patch(member_path(person), json={"role": "viewer"})).status_code == 200
    assert (await client.delete(path)).status_code == 204
    problem(await client.get(path), 404, "not_found")
    actions = [item["action"] for item in (await client.get("/v1/audit_logs")).json()["data"]]
    assert [action for action in actions if action.startswith("role.")] == [
        "role.deleted",
        "role.updated",
        "role.created",
    ]


async def test_an_invitation_that_can_be_accepted_keeps_it(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    made = await create(client)
    await client.as_(tenant.test).post("/v1/invitations", json={"email": "a@example.com", "custom_role_id": made["id"]})
    problem(await client.delete(f"{PATH}/{made['id']}"), 409, "conflict")
    await database.worker.execute("update invitations set expires_at = now() - interval '1 s'")
    assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204


async def test_names_are_unique(client: ApiClient) -> None:
    made = await create(client)
    for name in ("COPYWRITER", "owner", "Custom"):
        problem(await client.post(PATH, json={"name": name, "scopes": ["emails:read"]}), 409, "conflict")
    other = await create(client, "Other")
    problem(await client.patch(f"{PATH}/{other['id']}", json={"name": "copywriter"}), 409, "conflict")
    assert (await client.patch(f"{PATH}/{made['id']}", json={"name": "copyWriter"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["emails:read"]}, "/name"),
        ({"name": "x"}, "/scopes"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["moon:write"]}, "/scopes/0"),
        ({"name": " ", "scopes": ["emails:read"]}, "/name"),
        ({"name": "x", "scopes": ["emails:read"], "description": "x" * 301}, "/description"),
    ],
)
async def test_a_bad_one_names_its_field(client: ApiClient, body: dict[str, Any], pointer: str) -> None:
    document = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == pointer


async def test_who_is_bound_to_a_workspace_has_no_part_in_them(world: World, database: Database) -> None:
    made = await create(world.client)
    workspace = await make_workspace(database, world.tenant.id, "one")
    _, boss = await world.join(workspaces={workspace: "admin"})
    assert len((await boss.get(PATH)).json()["data"]) == len(OrganizationRole)
    problem(await boss.get(f"{PATH}/{made['id']}"), 404, "not_found")
    problem(await boss.post(PATH, json={"name": "x", "scopes": ["emails:read"]}), 403, "forbidden")


async def test_there_is_a_limit(client: ApiClient, database: Database, tenant: Tenant) -> None:
    for number in range(MAX_ROLES):
        await make_role(database, tenant.id, f"Role {number}", ["emails:read"])
    assert problem(await client.post(PATH, json={"name": "x", "scopes": ["emails:read"]}), 409, "conflict")["limit"]
