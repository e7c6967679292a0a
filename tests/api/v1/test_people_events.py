"""What happens to organizations, workspaces, members and invitations is told, in the transaction that does it."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.events.types import EventType
from penguinmails_core.identity.accounts import create_person
from penguinmails_core.identity.sessions import new_token, token_hash
from penguinmails_core.invitations import accepting
from penguinmails_core.invitations import service as invitations
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.members.places import WorkspacePlace
from penguinmails_webhooks.events import envelope_model
from tests.api.v1.people import World, member_path
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant, make_workspace
from tests.fixtures.people import make_user


async def told(client: ApiClient, family: str) -> list[dict[str, Any]]:
    """Events of a family, the oldest first; each is what the catalogue says."""
    answer = await client.get("/v1/events", params={"types": f"{family}.*"})
    found: list[dict[str, Any]] = answer.json()["data"]
    for event in found:
        envelope_model(EventType(event["type"])).model_validate(event)
    return found


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].partition(".")[2] for event in events]


async def test_of_the_organization(world: World) -> None:
    before = await world.client.get("/v1/organization")
    assert (await world.client.patch("/v1/organization", json={"name": "Acme"})).json() == before.json()
    changed = await world.client.patch("/v1/organization", json={"name": "Umbrella", "currency": "EUR"})
    again = await world.client.patch("/v1/organization", json={"timezone": "Europe/Vienna"})
    assert again.status_code == 200
    first, second = await told(world.client, "organization")
    assert first["data"]["changed"] == ["name", "currency"]
    assert (first["data"]["organization_id"], first["data"]["name"]) == (changed.json()["id"], "Umbrella")
    assert [event["sequence"] for event in (first, second)] == [1, 2]
    assert first["workspace_id"] is None


async def test_of_workspaces(world: World) -> None:
    made = (await world.client.post("/v1/workspaces", json={"name": "Northwind"})).json()
    path = f"/v1/workspaces/{made['id']}"
    for verb in ("archive", "archive", "restore"):
        assert (await world.client.post(f"{path}/{verb}")).status_code == 200
    assert (await world.client.patch(path, json={"name": "South", "timezone": None})).status_code == 200
    assert (await world.client.delete(f"{path}?dry_run=true")).status_code == 204
    assert (await world.client.delete(path)).status_code == 204
    events = await told(world.client, "workspace")
    assert names(events) == ["created", "updated", "updated", "updated", "deleted"]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["data"].get("changed") for event in events] == [None, ["status"], ["status"], ["name"], None]
    assert [event["data"]["status"] for event in events] == ["active", "archived", "active", "active", "active"]
    assert {event["workspace_id"] for event in events} == {made["id"]} == {e["data"]["workspace_id"] for e in events}


class TestMembers:
    async def test_changed_and_removed(self, world: World, database: Database) -> None:
        workspace = await make_workspace(database, world.tenant.id, "one")
        _, owner = await world.join("owner")
        person, _ = await world.join("viewer", email="grace@acme.test")
        path = member_path(person)
        for body in ({"role": "viewer"}, {"role": "developer"}):
            assert (await owner.patch(path, json=body)).status_code == 200
        places = [{"workspace_id": ids.encode("ws", workspace), "role": "viewer"}]
        assert (await owner.patch(path, json={"role": "member", "workspaces": places})).status_code == 200
        assert (await owner.delete(path)).status_code == 204
        events = await told(owner, "member")
        assert names(events) == ["updated", "updated", "removed"]
        assert [event["sequence"] for event in events] == [1, 2, 3]
        assert [event["data"].get("changed") for event in events] == [["role"], ["role", "workspaces"], None]
        assert events[1]["data"]["workspaces"] == places
        assert [event["workspace_id"] for event in events] == [None, *[places[0]["workspace_id"]] * 2]
        assert events[2]["data"]["reason"] == "removed"
        assert {event["data"]["email"] for event in events} == {"grace@acme.test"}
        assert {event["data"]["user_id"] for event in events} == {ids.encode("usr", person.user_id)}

    async def test_a_transfer_changes_two(self, world: World) -> None:
        me, owner = await world.join("owner")
        other, _ = await world.join("viewer")
        body = {"member_id": ids.encode("mem", other.member_id), "confirm": "Acme"}
        assert (await owner.post("/v1/organization/transfer", json=body)).json()["role"] == "owner"
        roles = {event["data"]["member_id"]: event["data"]["role"] for event in await told(owner, "member")}
        assert roles == {ids.encode("mem", me.member_id): "admin", ids.encode("mem", other.member_id): "owner"}

    async def test_leaving(self, world: World) -> None:
        await world.join("owner")
        _, browser = await world.join("viewer")
        assert (await browser.post("/v1/organization/leave")).status_code == 200
        (event,) = await told(world.client, "member")
        assert (event["type"], event["data"]["reason"]) == ("member.removed", "left")

    async def test_added_by_the_operator_once(self, world: World, database: Database) -> None:
        for _ in range(2):
            await create_person(database, "ada@acme.test", organization_id=world.tenant.id, role="admin")
        (event,) = await told(world.client, "member")
        assert (event["type"], event["data"]["via"], event["data"]["role"]) == ("member.added", "operator", "admin")


class TestInvitations:
    async def test_made_and_revoked_in_their_own_mode(self, world: World) -> None:
        test = world.client.as_(world.tenant.test)
        made = (await test.post("/v1/invitations", json={"email": "grace@example.com"})).json()
        for _ in range(2):
            assert (await test.post(f"/v1/invitations/{made['id']}/revoke")).status_code == 200
        assert await told(world.client, "invitation") == []
        events = await told(test, "invitation")
        assert names(events) == ["created", "revoked"]
        assert {event["data"]["invitation_id"] for event in events} == {made["id"]}
        assert "note" not in events[0]["data"]

    async def test_accepted(self, world: World, database: Database) -> None:
        workspace = await make_workspace(database, world.tenant.id, "one")
        places = [{"workspace_id": ids.encode("ws", workspace), "role": "viewer"}]
        boss, owner = await world.join("owner")
        place = (WorkspacePlace(workspace, "viewer"),)
        async with database.tenant(world.tenant.id) as session:
            given = {"email": "grace@example.com", "role": "member", "workspaces": place, "note": "Hello"}
            await invitations.create(session, await boss.principal(database), given)
        token, user_id = new_token(), await make_user(database, "grace@example.com")
        await database.worker.execute("update invitations set token_hash = $1", token_hash(token))
        accepted = await accepting.accept(database, user_id, token)
        (added,) = await told(owner, "member")
        assert (added["type"], added["data"]["via"]) == ("member.added", "invitation")
        assert (added["data"]["workspaces"], added["sequence"]) == (places, 1)
        _, event = await told(owner, "invitation")
        assert event["type"] == "invitation.accepted"
        assert event["data"]["member_id"] == ids.encode("mem", accepted.member_id) == added["data"]["member_id"]
        assert event["data"]["user_id"] == ids.encode("usr", user_id)


@pytest.mark.parametrize("path", ["/v1/organization", "/v1/workspaces"])
async def test_a_change_that_fails_tells_nothing(world: World, tenant: Tenant, path: str) -> None:
    _, viewer = await world.join("viewer")
    body = {"name": "Other"}
    answer = await (viewer.patch(path, json=body) if path.endswith("n") else viewer.post(path, json=body))
    assert answer.status_code == 403
    assert [*await told(world.client, "organization"), *await told(world.client, "workspace")] == []
