"""`/v1/members`: roles, limits, removal, and that nobody gets or gives more than they should."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.db import Database
from penguinmails_core.scopes import ALL_SCOPES, Scope
from tests.api.v1.people import World, member_path
from tests.fixtures.client import problem
from tests.fixtures.factories import Tenant, make_tenant, make_workspace
from tests.fixtures.people import make_invitation, make_role

PATH = "/v1/members"


async def test_members_are_listed_with_role_and_limits(world: World, database: Database) -> None:
    workspace = await make_workspace(database, world.tenant.id, "one")
    owner, browser = await world.join("owner", email="Ada@example.com")
    limited, _ = await world.join(workspaces={workspace: "admin"})
    role_id = await make_role(database, world.tenant.id, "Sender", ["emails:write"])
    custom, _ = await world.join(custom_role_id=role_id)
    found = {item["id"]: item for item in (await browser.get(PATH)).json()["data"]}
    assert set(found) == {ids.encode("mem", person.member_id) for person in (owner, limited, custom)}
    mine = found[ids.encode("mem", owner.member_id)]
    assert (mine["email"], mine["role"], mine["workspaces"]) == ("Ada@example.com", "owner", None)
    assert mine["user_id"] == ids.encode("usr", owner.user_id)
    assert found[ids.encode("mem", limited.member_id)]["workspaces"] == [
        {"workspace_id": ids.encode("ws", workspace), "role": "admin"}
    ]
    theirs = found[ids.encode("mem", custom.member_id)]
    assert (theirs["role"], theirs["custom_role_name"]) == ("custom", "Sender")
    assert theirs["custom_role_id"] == ids.encode("rol", role_id)
    assert (await browser.get(member_path(custom))).json() == theirs
    only = (await browser.get(PATH, params={"role": ["owner", "custom"], "email": "ada@EXAMPLE.com"})).json()["data"]
    assert [item["id"] for item in only] == [mine["id"]]
    assert (await browser.get("/v1/audit_logs")).status_code == 200


async def test_pages_go_both_ways(world: World) -> None:
    _, browser = await world.join("owner")
    for _ in range(4):
        await world.join()
    first = (await browser.get(PATH, params={"limit": 2})).json()
    second = (await browser.get(PATH, params={"limit": 2, "after": first["next_cursor"]})).json()
    third = (await browser.get(PATH, params={"limit": 2, "after": second["next_cursor"]})).json()
    everybody = [item["id"] for page in (first, second, third) for item in page["data"]]
    assert len(set(everybody)) == 5
    assert everybody == sorted(everybody, reverse=True)
    assert (third["has_more"], third["next_cursor"]) == (False, None)
    before = ids.decode("mem", everybody[2])
    back = (await browser.get(PATH, params={"limit": 1, "before": cursors.encode_id(before)})).json()
    assert [item["id"] for item in back["data"]] == [everybody[1]]


async def test_a_role_is_changed_and_felt_at_once(world: World) -> None:
    _, owner = await world.join("owner")
    person, browser = await world.join("viewer")
    problem(await browser.get("/v1/api_keys"), 403, "missing_scope")
    changed = await owner.patch(member_path(person), json={"role": "developer"})
    assert changed.json()["role"] == "developer"
    assert (await browser.get("/v1/api_keys")).status_code == 200
    log = (await owner.get("/v1/audit_logs", params={"action": "member.updated"})).json()["data"]
    assert (log[0]["before"]["role"], log[0]["after"]["role"]) == ("viewer", "developer")


async def test_the_same_again_changes_nothing(world: World) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("viewer")
    before = (await owner.get(member_path(person))).json()
    for body in ({}, {"role": "viewer"}, {"workspaces": None}):
        assert (await owner.patch(member_path(person), json=body)).json() == before
    assert (await owner.get("/v1/audit_logs", params={"action": "member.updated"})).json()["data"] == []


async def test_a_stale_change_is_refused(world: World) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("viewer")
    etag = (await owner.get(member_path(person))).headers["etag"]
    await owner.patch(member_path(person), json={"role": "member"}, headers={"If-Match": etag})
    stale = await owner.patch(member_path(person), json={"role": "billing"}, headers={"If-Match": etag})
    problem(stale, 412, "precondition_failed")
    problem(await owner.delete(member_path(person), headers={"If-Match": etag}), 412, "precondition_failed")
    assert (await owner.get(member_path(person))).json()["role"] == "member"


async def test_a_rehearsal_changes_nothing(world: World) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("viewer")
    answer = await owner.patch(f"{member_path(person)}?dry_run=true", json={"role": "admin"})
    assert answer.json()["role"] == "admin"
    assert (await owner.delete(f"{member_path(person)}?dry_run=true")).status_code == 204
    assert (await owner.get(member_path(person))).json()["role"] == "viewer"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "custom"}, "/custom_role_id"),
        ({"role": "viewer", "custom_role_id": "rol_01kaz6yzwhe1xrqm3c8s4q3m8r"}, "/custom_role_id"),
        ({"custom_role_id": "rol_01kaz6yzwhe1xrqm3c8s4q3m8r"}, "/custom_role_id"),
        ({"custom_role_id": "ws_01kaz6yzwhe1xrqm3c8s4q3m8r"}, "/custom_role_id"),
        ({"role": "king"}, "/role"),
        ({"role": None}, "/role"),
        ({"workspaces": []}, "/workspaces"),
        ({"workspaces": [{"workspace_id": "ws_01kaz6yzwhe1xrqm3c8s4q3m8r", "role": "admin"}]}, "/workspaces/0"),
        ({"workspaces": [{"workspace_id": "x", "role": "admin"}]}, "/workspaces/0/workspace_id"),
        ({"color": "red"}, "/color"),
    ],
)
async def test_a_bad_change_names_its_field(world: World, body: dict[str, Any], pointer: str) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("member")
    document = problem(await owner.patch(member_path(person), json=body), 422, "validation_failed")
    assert any(error["pointer"].startswith(pointer) for error in document["errors"]), document


async def test_only_members_can_be_limited_and_another_role_lifts_it(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("developer")
    workspace = ids.encode("ws", await make_workspace(database, world.tenant.id, "one"))
    limits = [{"workspace_id": workspace, "role": "viewer"}]
    document = problem(await owner.patch(member_path(person), json={"workspaces": limits}), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == "/workspaces"
    twice = {"role": "member", "workspaces": [*limits, {"workspace_id": workspace, "role": "admin"}]}
    document = problem(await owner.patch(member_path(person), json=twice), 422, "validation_failed")
    assert document["errors"][0]["code"] == "duplicate"
    limited = await owner.patch(member_path(person), json={"role": "member", "workspaces": limits})
    assert limited.json()["workspaces"] == limits
    assert (await owner.patch(member_path(person), json={"role": "viewer"})).json()["workspaces"] is None


class TestWhoMay:
    async def test_only_owners_touch_owners_and_admins(self, world: World) -> None:
        one, _ = await world.join("owner")
        two, admin = await world.join("admin")
        three, _ = await world.join("viewer")
        for person in (one, two):
            problem(await admin.patch(member_path(person), json={"role": "viewer"}), 403, "owners_only")
        problem(await admin.delete(member_path(one)), 403, "owners_only")
        for role in ("owner", "admin"):
            problem(await admin.patch(member_path(three), json={"role": role}), 403, "owners_only")
        assert (await admin.patch(member_path(three), json={"role": "developer"})).status_code == 200
        assert (await admin.delete(member_path(three))).status_code == 204

    async def test_a_key_never_counts_as_an_owner(self, world: World) -> None:
        """W7, for people: a key with every scope makes nobody an admin."""
        admin, _ = await world.join("admin")
        viewer, _ = await world.join("viewer")
        problem(await world.client.patch(member_path(admin), json={"role": "viewer"}), 403, "owners_only")
        problem(await world.client.delete(member_path(admin)), 403, "owners_only")
        problem(await world.client.patch(member_path(viewer), json={"role": "admin"}), 403, "owners_only")
        assert (await world.client.patch(member_path(viewer), json={"role": "developer"})).status_code == 200

    @pytest.mark.parametrize("scope", [scope for scope in ALL_SCOPES if not scope.startswith("members:")])
    async def test_nobody_gives_a_scope_they_lack(self, world: World, database: Database, scope: Scope) -> None:
        """W7: every scope, by a custom role that manages members and nothing else."""
        manager = await make_role(database, world.tenant.id, "People", [Scope.MEMBERS_WRITE])
        wanted = await make_role(database, world.tenant.id, "Wanted", [scope])
        me, browser = await world.join(custom_role_id=manager)
        person, _ = await world.join(
            custom_role_id=await make_role(database, world.tenant.id, "None", ["members:read"])
        )
        for target in (person, me):
            body = {"custom_role_id": ids.encode("rol", wanted)}
            document = problem(await browser.patch(member_path(target), json=body), 403, "grant_exceeded")
            assert scope in document["excess_scopes"]
        made = await browser.post("/v1/roles", json={"name": "Mine", "scopes": [scope]})
        problem(made, 403, "grant_exceeded")
        widened = await browser.patch(f"/v1/roles/{ids.encode('rol', manager)}", json={"scopes": [scope]})
        problem(widened, 403, "grant_exceeded")

    async def test_built_in_roles_are_not_given_beyond_ones_own_either(self, world: World, database: Database) -> None:
        manager = await make_role(database, world.tenant.id, "People", [Scope.MEMBERS_WRITE, Scope.EMAILS_READ])
        person, _ = await world.join(custom_role_id=manager)
        _, browser = await world.join(custom_role_id=manager)
        for role in ("developer", "member", "viewer", "billing"):
            problem(await browser.patch(member_path(person), json={"role": role}), 403, "grant_exceeded")

    async def test_test_keys_read_and_change_nothing(self, world: World) -> None:
        person, _ = await world.join()
        test = world.client.as_(world.tenant.test)
        assert (await test.get(member_path(person))).status_code == 200
        problem(await test.patch(member_path(person), json={"role": "viewer"}), 403, "live_mode_required")
        problem(await test.delete(member_path(person)), 403, "live_mode_required")

    async def test_members_of_another_tenant_do_not_exist(self, world: World, database: Database) -> None:
        stranger = await make_tenant(database, "Umbrella")
        theirs = World(world.services, world.client, stranger)
        _, owner = await world.join("owner")
        person, _ = await theirs.join()
        problem(await owner.get(member_path(person)), 404, "not_found")
        problem(await owner.patch(member_path(person), json={"role": "viewer"}), 404, "not_found")
        problem(await owner.delete(member_path(person)), 404, "not_found")
        body = {"role": "member", "workspaces": [{"workspace_id": _ws(stranger), "role": "viewer"}]}
        mine, _ = await world.join()
        problem(await owner.patch(member_path(mine), json=body), 422, "validation_failed")
        foreign = await make_role(database, stranger.id, "Theirs", ["emails:read"])
        body = {"custom_role_id": ids.encode("rol", foreign)}
        problem(await owner.patch(member_path(mine), json=body), 422, "validation_failed")


class TestWorkspaceAdmins:
    async def test_they_see_and_manage_their_own_workspace_only(self, world: World, database: Database) -> None:
        one, two = [await make_workspace(database, world.tenant.id, slug) for slug in ("one", "two")]
        _, boss = await world.join(workspaces={one: "admin"})
        inside, _ = await world.join(workspaces={one: "viewer"})
        both, _ = await world.join(workspaces={one: "viewer", two: "viewer"})
        outside, _ = await world.join(workspaces={two: "viewer"})
        whole, _ = await world.join("viewer")
        assert len((await boss.get(PATH)).json()["data"]) == 3
        for hidden in (outside, whole):
            problem(await boss.get(member_path(hidden)), 404, "not_found")
            problem(await boss.delete(member_path(hidden)), 404, "not_found")
        problem(await boss.patch(member_path(both), json={"workspaces": [_in(one, "member")]}), 403, "forbidden")
        problem(await boss.delete(member_path(both)), 403, "forbidden")
        for wider in ({"workspaces": None}, {"role": "viewer"}, {"workspaces": [_in(two, "viewer")]}):
            problem(await boss.patch(member_path(inside), json=wider), 403, "grant_exceeded")
        raised = await boss.patch(member_path(inside), json={"workspaces": [_in(one, "admin")]})
        assert raised.json()["workspaces"] == [_in(one, "admin")]
        assert (await boss.delete(member_path(inside))).status_code == 204

    async def test_without_a_workspace_nothing_is_left(self, world: World) -> None:
        _, browser = await world.join(workspaces={})
        problem(await browser.get(PATH), 403, "forbidden")


class TestRemoval:
    async def test_keys_end_and_what_was_made_is_handed_over(self, world: World, database: Database) -> None:
        owner, browser = await world.join("owner")
        person, leaving = await world.join("developer")
        made = (await leaving.post("/v1/api_keys", json={"name": "mine", "scopes": ["emails:read"]})).json()
        key = world.client.as_(made["secret"])
        child = await world.client.as_(made["secret"]).get("/v1/emails")
        assert child.status_code == 200
        role_id = await make_role(database, world.tenant.id, "Theirs", ["emails:read"])
        await database.worker.execute("update roles set created_by = $1", person.user_id)
        assert (await browser.delete(member_path(person))).status_code == 204
        problem(await key.get("/v1/emails"), 401, "unauthenticated")
        problem(await leaving.get("/v1/emails"), 403, "forbidden")
        assert await database.worker.fetchval("select created_by from roles where id = $1", role_id) == owner.user_id
        problem(await browser.get(member_path(person)), 404, "not_found")
        actions = [item["action"] for item in (await browser.get("/v1/audit_logs")).json()["data"]]
        assert {"member.removed", "api_key.revoked"} <= set(actions)

    async def test_a_key_removes_and_the_oldest_owner_inherits(self, world: World, database: Database) -> None:
        owner, _ = await world.join("owner")
        await world.join("owner")
        person, _ = await world.join("admin")
        invitation = await make_invitation(database, world.tenant)
        await database.worker.execute("update invitations set created_by = $1", person.user_id)
        await database.worker.execute("update members set role = 'viewer' where id = $1", person.member_id)
        assert (await world.client.delete(member_path(person))).status_code == 204
        heir = await database.worker.fetchval("select created_by from invitations where id = $1", invitation)
        assert heir == owner.user_id

    async def test_nobody_removes_themselves(self, world: World) -> None:
        me, browser = await world.join("owner")
        await world.join("owner")
        problem(await browser.delete(member_path(me)), 403, "forbidden")

    async def test_other_organizations_of_the_person_are_untouched(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        person, _ = await world.join()
        other = await make_tenant(database, "Umbrella")
        await database.worker.execute(
            "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'owner')",
            other.id,
            ids.new_uuid(),
            person.user_id,
        )
        assert (await owner.delete(member_path(person))).status_code == 204
        left = await database.worker.fetch("select organization_id from members where user_id = $1", person.user_id)
        assert [row["organization_id"] for row in left] == [other.id]


class TestLastOwner:
    async def test_the_last_owner_stays(self, world: World) -> None:
        me, browser = await world.join("owner")
        await world.join("admin")
        problem(await browser.patch(member_path(me), json={"role": "admin"}), 409, "last_owner")
        problem(await browser.post("/v1/organization/leave"), 409, "last_owner")

    async def test_with_a_second_one_they_may_step_down(self, world: World) -> None:
        me, browser = await world.join("owner")
        await world.join("owner")
        assert (await browser.patch(member_path(me), json={"role": "viewer"})).json()["role"] == "viewer"
        problem(await browser.patch(member_path(me), json={"role": "owner"}), 403, "missing_scope")

    @pytest.mark.parametrize("how", ["demote", "remove", "step_down", "leave"])
    async def test_two_owners_at_the_same_moment_leave_one(self, world: World, database: Database, how: str) -> None:
        one, first = await world.join("owner")
        two, second = await world.join("owner")
        match how:
            case "demote":
                calls = [
                    first.patch(member_path(two), json={"role": "viewer"}),
                    second.patch(member_path(one), json={"role": "viewer"}),
                ]
            case "remove":
                calls = [first.delete(member_path(two)), second.delete(member_path(one))]
            case "step_down":
                calls = [
                    first.patch(member_path(one), json={"role": "viewer"}),
                    second.patch(member_path(two), json={"role": "viewer"}),
                ]
            case _:
                calls = [first.post("/v1/organization/leave"), second.post("/v1/organization/leave")]
        statuses = sorted(response.status_code for response in await asyncio.gather(*calls))
        assert statuses[0] in (200, 204)
        assert statuses[1] in (403, 409)
        owners = await database.worker.fetchval(
            "select count(*) from members where organization_id = $1 and role = 'owner'", world.tenant.id
        )
        assert owners == 1


def _ws(tenant: Tenant) -> str:
    return ids.encode("ws", tenant.workspace_id)


def _in(workspace_id: Any, role: str) -> dict[str, str]:
    return {"workspace_id": ids.encode("ws", workspace_id), "role": role}
