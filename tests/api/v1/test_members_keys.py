"""Keys of a member whose place shrinks: never stronger than the person, whoever is faster."""

from __future__ import annotations

import asyncio
from typing import Any

from penguinmails_core.api_keys import service as api_keys
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.members import manage
from tests.api.v1.people import World, member_path
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import make_workspace
from tests.fixtures.locks import blocked
from tests.fixtures.people import make_role

KEYS = "/v1/api_keys"


async def make_key(browser: ApiClient, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = await browser.post(KEYS, json={"name": "k", "scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def scopes_of(client: ApiClient, key: dict[str, Any]) -> list[str]:
    found: list[str] = (await client.get(f"{KEYS}/{key['id']}")).json()["scopes"]
    return found


async def status_of(client: ApiClient, key: dict[str, Any]) -> str:
    return str((await client.get(f"{KEYS}/{key['id']}")).json()["status"])


async def test_a_smaller_role_narrows_keys_and_ends_what_is_empty(world: World) -> None:
    _, owner = await world.join("owner")
    person, browser = await world.join("developer")
    mixed = await make_key(browser, "emails:write", "domains:write", "api_keys:write", "suppressions:write")
    key = world.client.as_(mixed["secret"])
    child = (await key.post(f"{KEYS}/{mixed['id']}/derive", json={"name": "c", "scopes": ["domains:write"]})).json()
    through = await make_key(key, "domains:write", "emails:read")
    empty = await make_key(browser, "api_keys:write")
    fitting = await make_key(browser, "emails:read")
    etag = (await owner.get(f"{KEYS}/{fitting['id']}")).headers["etag"]
    assert (await key.get(KEYS)).status_code == 200

    assert (await owner.patch(member_path(person), json={"role": "member"})).status_code == 200
    assert await scopes_of(owner, mixed) == ["domains:read", "emails:write", "suppressions:write"]
    problem(await key.post("/v1/domains", json={"name": "acme.test"}), 403, "missing_scope")
    problem(await key.get(KEYS), 403, "missing_scope")
    assert await scopes_of(owner, through) == ["domains:read", "emails:read"]
    assert await scopes_of(owner, child) == ["domains:read"]
    assert await status_of(owner, empty) == "revoked"
    problem(await world.client.as_(empty["secret"]).get(KEYS), 401, "unauthenticated")
    assert (await owner.get(f"{KEYS}/{fitting['id']}")).headers["etag"] == etag

    log = (await owner.get("/v1/audit_logs", params={"action": "api_key.*"})).json()["data"]
    told = {(item["action"], item["resource"]["id"]): item for item in log}
    narrowed = told["api_key.narrowed", mixed["id"]]
    assert "domains:write" in narrowed["before"]["scopes"]
    assert narrowed["after"]["scopes"] == ["domains:read", "emails:write", "suppressions:write"]
    assert narrowed["actor"]["kind"] == "user"
    assert ("api_key.revoked", empty["id"]) in told
    events = (await owner.get("/v1/events", params={"types": "api_key.revoked"})).json()["data"]
    assert [event["data"]["reason"] for event in events] == ["role_changed"]

    assert (await owner.patch(member_path(person), json={"role": "developer"})).status_code == 200
    assert await scopes_of(owner, mixed) == ["domains:read", "emails:write", "suppressions:write"]


async def test_keys_of_others_and_of_nobody_stay(world: World) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("developer")
    mine = await make_key(owner, "domains:write")
    await owner.patch(member_path(person), json={"role": "viewer"})
    assert await scopes_of(owner, mine) == ["domains:write"]
    assert (await world.client.get(KEYS)).status_code == 200


async def test_keys_of_a_limited_member_stay_in_their_workspaces(world: World, database: Database) -> None:
    one, two = [await make_workspace(database, world.tenant.id, slug) for slug in ("one", "two")]
    _, owner = await world.join("owner")
    person, browser = await world.join("developer")
    in_one, in_two = [
        await make_key(browser, "emails:write", "webhook_endpoints:write", workspace_id=ids.encode("ws", each))
        for each in (one, two)
    ]
    everywhere = await make_key(browser, "emails:read")
    places = [{"workspace_id": ids.encode("ws", one), "role": "viewer"}]
    assert (await owner.patch(member_path(person), json={"role": "member", "workspaces": places})).status_code == 200
    assert await scopes_of(owner, in_one) == ["emails:read", "webhook_endpoints:read"]
    assert [await status_of(owner, key) for key in (in_one, in_two, everywhere)] == ["active", "revoked", "revoked"]


async def test_a_custom_role_takes_from_the_keys_of_all_who_have_it(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    role_id = await make_role(database, world.tenant.id, "Builder", ["api_keys:write", "emails:write", "domains:write"])
    browsers = [(await world.join(custom_role_id=role_id))[1] for _ in range(2)]
    keys = [await make_key(browser, "emails:write", "domains:write") for browser in browsers]
    path = f"/v1/roles/{ids.encode('rol', role_id)}"
    assert (await owner.patch(f"{path}?dry_run=true", json={"scopes": ["emails:read"]})).status_code == 200
    assert await scopes_of(owner, keys[0]) == ["domains:write", "emails:write"]
    assert (await owner.patch(path, json={"scopes": ["emails:write", "events:read"]})).status_code == 200
    for key in keys:
        assert await scopes_of(owner, key) == ["emails:write"]
        problem(await world.client.as_(key["secret"]).get("/v1/domains"), 403, "missing_scope")


async def test_a_transfer_leaves_what_admins_may_have(world: World) -> None:
    _, owner = await world.join("owner")
    person, _ = await world.join("admin")
    key = await make_key(owner, "members:write", "organizations:write")
    body = {"member_id": ids.encode("mem", person.member_id), "confirm": "Acme"}
    assert (await owner.post("/v1/organization/transfer", json=body)).status_code == 200
    assert await scopes_of(owner, key) == ["organizations:write", "members:write"]


class TestRace:
    async def test_a_key_that_is_being_made_is_narrowed(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        person, _ = await world.join("developer")
        async with database.tenant(world.tenant.id) as session:
            values = {"name": "late", "scopes": ["domains:write", "emails:read"]}
            made, _ = await api_keys.create(session, await person.principal(database), values)
            demotion = asyncio.create_task(owner.patch(member_path(person), json={"role": "viewer"}))
            await blocked(database)
        assert (await demotion).status_code == 200
        stored = await database.worker.fetchval("select scopes from api_keys where id = $1", made.id)
        assert stored == ["domains:read", "emails:read"]

    async def test_who_is_being_demoted_makes_only_what_the_new_role_gives(
        self, world: World, database: Database
    ) -> None:
        boss, _ = await world.join("owner")
        person, browser = await world.join("developer")
        async with database.tenant(world.tenant.id) as session:
            await manage.update(session, await boss.principal(database), person.member_id, {"role": "viewer"})
            late = asyncio.create_task(browser.post(KEYS, json={"name": "late", "scopes": ["domains:write"]}))
            await blocked(database)
        document = problem(await late, 403, "grant_exceeded")
        assert document["excess_scopes"] == ["domains:write"]

    async def test_who_is_being_removed_makes_none(self, world: World, database: Database) -> None:
        boss, _ = await world.join("owner")
        person, browser = await world.join("developer")
        async with database.tenant(world.tenant.id) as session:
            await manage.remove(session, await boss.principal(database), person.member_id)
            late = asyncio.create_task(browser.post(KEYS, json={"name": "late", "scopes": ["emails:read"]}))
            await blocked(database)
        problem(await late, 403, "not_a_member")
        count = "select count(*) from api_keys where created_by_user_id = $1 and revoked_at is null"
        assert await database.worker.fetchval(count, person.user_id) == 0
