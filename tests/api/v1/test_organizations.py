"""`/v1/organization`: settings, handing over, leaving; `/v1/organizations` and `/v1/me` of people."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_api.services import ORGANIZATIONS, Settings
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.config import AuthSettings, DatabaseSettings
from penguinmails_core.errors import LimitReached
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.organizations import own
from penguinmails_core.principal import Principal
from tests.api.v1.people import World, member_path
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_tenant, make_workspace
from tests.fixtures.locks import blocked
from tests.fixtures.people import Person, sign_in

PATH = "/v1/organization"


async def test_settings_are_read_and_changed(client: ApiClient, tenant: Tenant) -> None:
    found = (await client.get(PATH)).json()
    assert found["id"] == ids.encode("org", tenant.id)
    assert (found["name"], found["timezone"], found["date_format"], found["currency"]) == ("Acme", "UTC", "iso", "USD")
    body = {"name": "Acme GmbH", "timezone": "Europe/Vienna", "date_format": "day_first", "currency": "EUR"}
    changed = (await client.patch(PATH, json=body)).json()
    assert {name: changed[name] for name in body} == body
    assert (await client.get(PATH)).json() == changed
    assert (await client.patch(PATH, json={})).json() == changed
    log = (await client.get("/v1/audit_logs")).json()["data"][0]
    assert (log["action"], log["before"]["name"], log["after"]["name"]) == ("organization.updated", "Acme", "Acme GmbH")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"timezone": "Nowhere"}, "/timezone"),
        ({"date_format": "us"}, "/date_format"),
        ({"currency": "euro"}, "/currency"),
        ({"id": "org_1"}, "/id"),
    ],
)
async def test_a_bad_change_names_its_field(client: ApiClient, body: dict[str, Any], pointer: str) -> None:
    document = problem(await client.patch(PATH, json=body), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == pointer


async def test_bound_and_test_keys_only_read(client: ApiClient, database: Database, tenant: Tenant) -> None:
    workspace = await make_workspace(database, tenant.id, "one")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    for key, code in ((bound, "forbidden"), (tenant.test, "live_mode_required")):
        assert (await client.as_(key).get(PATH)).status_code == 200
        problem(await client.as_(key).patch(PATH, json={"name": "x"}), 403, code)


async def test_a_stale_change_is_refused(client: ApiClient) -> None:
    etag = (await client.get(PATH)).headers["etag"]
    assert (await client.patch(PATH, json={"name": "a"}, headers={"If-Match": etag})).status_code == 200
    problem(await client.patch(PATH, json={"name": "b"}, headers={"If-Match": etag}), 412, "precondition_failed")


async def test_people_see_all_their_organizations_and_keys_one(world: World, database: Database) -> None:
    person, browser = await world.join("viewer")
    other = await make_tenant(database, "Umbrella")
    await database.worker.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'owner')",
        other.id,
        ids.new_uuid(),
        person.user_id,
    )
    found = (await browser.get("/v1/organizations")).json()["data"]
    assert [(item["name"], item["role"], item["current"]) for item in found] == [
        ("Acme", "viewer", True),
        ("Umbrella", "owner", False),
    ]
    assert (await world.client.get("/v1/organizations")).json()["data"] == [
        {"id": ids.encode("org", world.tenant.id), "name": "Acme", "role": None, "current": True}
    ]


async def test_me_tells_who_is_signed_in(world: World) -> None:
    person, browser = await world.join("viewer", email="ada@acme.test")
    me = (await browser.get("/v1/me")).json()
    assert (me["kind"], me["mode"], me["api_key"], me["app_id"]) == ("session", "live", None, None)
    assert me["user"] == {"id": ids.encode("usr", person.user_id), "email": "ada@acme.test", "name": None}
    assert "emails:read" in me["scopes"]
    assert "emails:write" not in me["scopes"]
    by_key = (await world.client.get("/v1/me")).json()
    assert (by_key["kind"], by_key["user"]) == ("api_key", None)


class TestTransfer:
    async def test_the_old_owner_becomes_an_admin(self, world: World) -> None:
        me, owner = await world.join("owner")
        heir, browser = await world.join("viewer")
        answer = await owner.post(f"{PATH}/transfer", json=_to(heir))
        assert (answer.json()["id"], answer.json()["role"]) == (ids.encode("mem", heir.member_id), "owner")
        assert (await browser.get(member_path(me))).json()["role"] == "admin"
        log = (await browser.get("/v1/audit_logs")).json()["data"][0]
        assert (log["action"], log["after"]["owner"]) == (
            "organization.transferred",
            ids.encode("usr", heir.user_id),
        )

    async def test_a_limited_member_can_become_the_owner(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        heir, browser = await world.join(workspaces={})
        assert (await owner.post(f"{PATH}/transfer", json=_to(heir))).json()["workspaces"] is None
        assert (await browser.get("/v1/members")).status_code == 200

    async def test_it_needs_the_name(self, world: World) -> None:
        _, owner = await world.join("owner")
        heir, _ = await world.join("viewer")
        for typed in ("acme", "Acme ", "", "Umbrella"):
            document = problem(await owner.post(f"{PATH}/transfer", json=_to(heir, typed)), 422, "validation_failed")
            assert document["errors"][0]["pointer"] == "/confirm"

    async def test_only_owners_who_are_signed_in(self, world: World) -> None:
        me, owner = await world.join("owner")
        heir, _ = await world.join("viewer")
        _, admin = await world.join("admin")
        for caller in (admin, world.client):
            problem(await caller.post(f"{PATH}/transfer", json=_to(heir)), 403, "owners_only")
        problem(await owner.post(f"{PATH}/transfer", json=_to(me)), 409, "conflict")

    async def test_to_members_only(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        foreign = World(world.services, world.client, await make_tenant(database, "Umbrella"))
        stranger, _ = await foreign.join("viewer")
        problem(await owner.post(f"{PATH}/transfer", json=_to(stranger)), 404, "not_found")
        bad = {"member_id": "nobody", "confirm": "Acme"}
        problem(await owner.post(f"{PATH}/transfer", json=bad), 422, "validation_failed")

    async def test_twice_at_once_hands_over_once(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        heirs = [(await world.join("viewer"))[0] for _ in range(2)]
        answers = await asyncio.gather(*(owner.post(f"{PATH}/transfer", json=_to(heir)) for heir in heirs))
        assert sorted(answer.status_code for answer in answers) == [200, 403]
        assert await database.worker.fetchval("select count(*) from members where role = 'owner'") == 1


class TestLeaving:
    async def test_leaving_ends_keys_and_hands_over(self, world: World, database: Database) -> None:
        owner, _ = await world.join("owner")
        person, browser = await world.join("developer")
        made = (await browser.post("/v1/api_keys", json={"name": "mine", "scopes": ["emails:read"]})).json()
        key = world.client.as_(made["secret"])
        assert (await key.get("/v1/emails")).status_code == 200
        await database.worker.execute("update workspaces set created_by = $1", person.user_id)
        answer = await browser.post(f"{PATH}/leave")
        assert answer.json() == {"organization_id": ids.encode("org", world.tenant.id)}
        problem(await key.get("/v1/emails"), 401, "unauthenticated")
        problem(await browser.get("/v1/emails"), 403, "forbidden")
        heirs = await database.worker.fetch(
            "select created_by from workspaces where organization_id = $1", world.tenant.id
        )
        assert {row["created_by"] for row in heirs} == {owner.user_id}
        log = (await world.client.get("/v1/audit_logs", params={"action": "member.left"})).json()["data"][0]
        assert log["actor"]["label"] == person.email

    async def test_a_limited_member_can_leave(self, world: World, database: Database) -> None:
        workspace = await make_workspace(database, world.tenant.id, "one")
        _, browser = await world.join(workspaces={workspace: "viewer"})
        assert (await browser.post(f"{PATH}/leave")).status_code == 200

    async def test_keys_cannot(self, world: World) -> None:
        problem(await world.client.post(f"{PATH}/leave"), 403, "forbidden")


def _to(person: Person, confirm: str = "Acme") -> dict[str, str]:
    return {"member_id": ids.encode("mem", person.member_id), "confirm": confirm}


class TestCreate:
    """Organizations that people make for themselves."""

    PATH = "/v1/organizations"

    async def test_who_makes_one_owns_it(self, world: World, database: Database) -> None:
        me, browser = await world.join("viewer")
        answer = await browser.post(self.PATH, json={"name": " Northwind "}, idempotency_key="once")
        assert answer.status_code == 201, answer.text
        made = answer.json()
        again = await browser.post(self.PATH, json={"name": " Northwind "}, idempotency_key="once")
        assert (again.json(), again.headers["idempotency-replayed"]) == (made, "true")
        assert made["name"] == "Northwind"
        mine = (await browser.get(self.PATH)).json()["data"]
        assert [(item["name"], item["role"], item["current"]) for item in mine] == [
            ("Acme", "viewer", True),
            ("Northwind", "owner", False),
        ]
        there = await sign_in(world.services, world.client, me.user_id, ids.decode("org", made["id"]))
        assert [item["is_default"] for item in (await there.get("/v1/workspaces")).json()["data"]] == [True]
        (entry,) = (await there.get("/v1/audit_logs")).json()["data"]
        assert (entry["action"], entry["actor"]["kind"], entry["actor"]["label"]) == (
            "organization.created",
            "user",
            me.email,
        )
        assert (await there.post("/v1/api_keys", json={"name": "k", "scopes": ["emails:write"]})).status_code == 201
        assert (await world.client.get("/v1/audit_logs", params={"action": "organization.created"})).json()["data"][0][
            "resource"
        ]["id"] != made["id"], "nothing of it stands in the organization that the request came from"

    async def test_a_rehearsal_makes_none(self, world: World, database: Database) -> None:
        _, browser = await world.join("viewer")
        before = await database.worker.fetchval("select count(*) from organizations")
        rehearsed = await browser.post(f"{self.PATH}?dry_run=true", json={"name": "Northwind"})
        assert (rehearsed.status_code, rehearsed.json()["name"]) == (201, "Northwind")
        assert await database.worker.fetchval("select count(*) from organizations") == before

    async def test_keys_make_none(self, world: World) -> None:
        problem(await world.client.post(self.PATH, json={"name": "Northwind"}), 403, "forbidden")

    @pytest.mark.parametrize("name", ["", " ", "a\u0000b", "x" * 201, None, 1])
    async def test_a_bad_name_is_named(self, world: World, name: Any) -> None:
        _, browser = await world.join("viewer")
        document = problem(await browser.post(self.PATH, json={"name": name}), 422, "validation_failed")
        assert document["errors"][0]["pointer"] == "/name"

    async def test_one_person_owns_so_many(self, world: World, database: Database) -> None:
        me, browser = await world.join("owner")
        for number in range(ORGANIZATIONS - 2):
            assert (await browser.post(self.PATH, json={"name": f"n{number}"})).status_code == 201
        answers = await asyncio.gather(*(browser.post(self.PATH, json={"name": f"last{n}"}) for n in range(3)))
        assert sorted(answer.status_code for answer in answers) == [201, 403, 403]
        refused = problem(next(answer for answer in answers if answer.status_code == 403), 403, "limit_reached")
        assert (refused["limit_name"], refused["limit"], refused["used"]) == (
            "organizations_per_person",
            ORGANIZATIONS,
            ORGANIZATIONS,
        )
        owned = "select count(*) from members where user_id = $1 and role = 'owner'"
        assert await database.worker.fetchval(owned, me.user_id) == ORGANIZATIONS

    async def test_the_last_place_is_waited_for(self, world: World, database: Database) -> None:
        me, _ = await world.join("owner")
        caller = await me.principal(database)
        async with database.tenant(world.tenant.id) as session:
            await own.create(session, database.worker, caller, "first", most=2)
            late = asyncio.create_task(self._second(database, caller))
            await blocked(database)
        with pytest.raises(LimitReached):
            await late

    async def _second(self, database: Database, caller: Principal) -> None:
        async with database.tenant(caller.organization_id) as session:
            await own.create(session, database.worker, caller, "second", most=2)


class TestCreateWhereNobodySignsUp:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
            auth=AuthSettings(signup=False),
        )

    async def test_tenants_are_the_operators(self, world: World) -> None:
        _, browser = await world.join("owner")
        refused = problem(await browser.post("/v1/organizations", json={"name": "Mine"}), 403, "limit_reached")
        assert (refused["limit"], "PENGUINMAILS_AUTH" in refused["detail"]) == (0, True)
