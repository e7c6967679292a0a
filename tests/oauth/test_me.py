"""`GET /v1/me` for apps, and that an app loses its access with the person who gave it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from penguinmails_api.gateway import Gateway
from penguinmails_core.kit import ids
from tests.fixtures.client import ApiClient
from tests.fixtures.people import make_member
from tests.oauth.world import World


@pytest.fixture
async def api(world: World, gateway: Gateway) -> AsyncIterator[ApiClient]:
    async with ApiClient(gateway, world.tenant.key) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def become(world: World, role: str) -> None:
    """Only owners, signed in, change owners."""
    await world.services.database.worker.execute("update members set role = $2 where user_id = $1", world.user_id, role)


async def test_an_app_learns_for_whom_it_acts(world: World) -> None:
    app = await world.app()
    token = (await world.tokens(app, scope="emails:read"))["access_token"]
    me = (await world.call(token, "/v1/me")).json()
    assert (me["kind"], me["mode"], me["scopes"], me["api_key"]) == ("oauth", "live", ["emails:read"], None)
    assert me["app"] == {"id": app.client_id, "name": "Billing sync"}
    assert me["app_id"] == app.client_id
    assert me["user"] == {"id": ids.encode("usr", world.user_id), "email": "ada@example.com", "name": "Ada Lovelace"}
    assert me["organization"]["id"] == ids.encode("org", world.tenant.id)


async def test_an_app_that_acts_for_itself_has_no_person(world: World) -> None:
    app = await world.app()
    token = (await world.client_token(app, scope="emails:read"))["access_token"]
    me = (await world.call(token, "/v1/me")).json()
    assert (me["kind"], me["user"], me["app"]["id"]) == ("oauth", None, app.client_id)


async def test_everything_of_a_removed_member_ends_at_once(world: World, api: ApiClient) -> None:
    """Key, session and token, in one transaction; the caches hear of it by the doorbell."""
    world.services.oauth.tokens._ttl = 3600.0  # or it would end by itself
    await make_member(world.services.database, world.tenant.id, "owner")
    await become(world, "developer")
    app = await world.app()
    token = await world.tokens(app, scope="emails:read")
    person = api.with_cookie(world.cookie)
    made = await person.post("/v1/api_keys", json={"name": "Ada's", "scopes": ["emails:read"]})
    key = made.json()["secret"]
    ways = {"token": bearer(token["access_token"]), "key": bearer(key)}
    for name, headers in ways.items():
        assert (await world.http.get("/v1/emails", headers=headers)).status_code == 200, name
    assert (await person.get("/v1/emails")).status_code == 200
    members = (await api.get("/v1/members")).json()["data"]
    ada = next(member for member in members if member["email"] == "ada@example.com")
    assert (await api.delete(f"/v1/members/{ada['id']}")).status_code == 204
    async with asyncio.timeout(10):
        for headers in ways.values():
            while (await world.http.get("/v1/emails", headers=headers)).status_code != 401:
                await asyncio.sleep(0)
    assert (await person.get("/v1/emails")).status_code == 403
    again = await world.refresh(app, token["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_a_smaller_role_narrows_tokens_at_once(world: World, api: ApiClient) -> None:
    world.services.oauth.tokens._ttl = 3600.0
    await make_member(world.services.database, world.tenant.id, "owner")
    await become(world, "member")
    token = (await world.tokens(await world.app(), scope="emails:read emails:write"))["access_token"]
    assert "emails:write" in (await world.call(token, "/v1/me")).json()["scopes"]
    members = (await api.get("/v1/members")).json()["data"]
    ada = next(member for member in members if member["email"] == "ada@example.com")
    assert (await api.patch(f"/v1/members/{ada['id']}", json={"role": "viewer"})).status_code == 200
    async with asyncio.timeout(10):
        while "emails:write" in (await world.call(token, "/v1/me")).json()["scopes"]:
            await asyncio.sleep(0)
