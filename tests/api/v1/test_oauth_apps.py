"""`/v1/oauth_apps` and `/v1/oauth_grants`, through the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.gateway import Gateway
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant
from tests.fixtures.people import make_member, sign_in
from tests.oauth.conftest import gateway, world
from tests.oauth.test_registration import app_of, register
from tests.oauth.world import TestApp, World

__all__ = ["gateway", "world"]

PATH = "/v1/oauth_apps"
BODY = {
    "name": "CRM",
    "confidential": True,
    "scopes": ["emails:read", "openid"],
    "grant_types": ["authorization_code", "refresh_token", "client_credentials", "device_code"],
    "redirect_uris": ["https://crm.example.com/cb"],
}


async def create(client: ApiClient, **changes: Any) -> dict[str, Any]:
    response = await client.post(PATH, json=BODY | changes)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_an_app_lives(client: ApiClient) -> None:
    made = await create(client)
    secret = made.pop("client_secret")
    assert secret.startswith("pmcs_")
    assert made["id"] == made["client_id"]
    url = f"{PATH}/{made['id']}"
    assert (await client.get(url)).json() == made
    assert (await client.get(PATH)).json()["data"] == [made]
    token = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": secret}
    changed = (await client.patch(url, json={"name": "CRM 2", "redirect_uris": ["https://crm.example.com/2"]})).json()
    assert (changed["name"], changed["redirect_uris"]) == ("CRM 2", ["https://crm.example.com/2"])
    rotated = (await client.post(f"{url}/rotate_secret", json={"overlap_seconds": 0})).json()
    assert rotated["client_secret"] != token["client_secret"]
    assert (await client.delete(url)).status_code == 204
    problem(await client.get(url), 404, "not_found")


async def test_the_secret_is_not_repeated_in_a_replay(client: ApiClient) -> None:
    first = await client.post(PATH, json=BODY, idempotency_key="one")
    again = await client.post(PATH, json=BODY, idempotency_key="one")
    assert first.json()["client_secret"] is not None
    assert again.json() == first.json() | {"client_secret": None}


async def test_a_public_app_has_no_secret(client: ApiClient) -> None:
    made = await create(client, confidential=False, grant_types=["authorization_code"])
    assert made["client_secret"] is None
    problem(await client.post(f"{PATH}/{made['id']}/rotate_secret"), 409, "conflict")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": "two\nlines"}, "/name"),
        ({"scopes": ["emails:fly"]}, "/scopes/0"),
        ({"redirect_uris": []}, "/redirect_uris"),
        ({"redirect_uris": ["https://ok.example/cb", "javascript:alert(1)"]}, "/redirect_uris/1"),
        ({"confidential": False}, "/grant_types"),
        ({"grant_types": ["refresh_token"]}, "/grant_types"),
        ({"client_uri": "javascript:alert(1)"}, "/client_uri"),
    ],
)
async def test_what_cannot_be_names_the_field(client: ApiClient, changes: dict[str, Any], pointer: str) -> None:
    document = problem(await client.post(PATH, json=BODY | changes), 422, "validation_failed")
    assert pointer in {error["pointer"] for error in document["errors"]}


async def test_nobody_hands_out_more_than_they_have(client: ApiClient, database: Database, tenant: Tenant) -> None:
    """Neither by making an app, nor by taking one over: whoever has its secret or its redirect URIs acts as the app."""
    strong = await create(client, scopes=["emails:write"])
    _, weak_key = await create_key(
        database, tenant.id, mode="live", name="weak", scopes=["oauth_apps:write", "emails:read"]
    )
    weak = client.as_(weak_key)
    problem(await weak.post(PATH, json=BODY | {"scopes": ["emails:write"]}), 403, "grant_exceeded")
    mine = await create(weak, scopes=["emails:read"])
    problem(await weak.patch(f"{PATH}/{mine['id']}", json={"scopes": ["emails:write"]}), 403, "grant_exceeded")
    url = f"{PATH}/{strong['id']}"
    problem(await weak.patch(url, json={"redirect_uris": ["https://evil.example"]}), 403, "grant_exceeded")
    problem(await weak.post(f"{url}/rotate_secret"), 403, "grant_exceeded")
    problem(await weak.delete(url), 403, "grant_exceeded")


async def test_a_limited_key_makes_no_app_that_escapes_its_limits(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    made = await client.post(
        "/v1/api_keys", json={"name": "capped", "scopes": ["oauth_apps:write", "emails:read"], "max_sends_per_day": 5}
    )
    capped = client.as_(made.json()["secret"])
    body = BODY | {"scopes": ["emails:read"]}
    problem(await capped.post(PATH, json=body), 403, "grant_exceeded")
    asked = body | {"grant_types": ["authorization_code"]}
    assert (await capped.post(PATH, json=asked)).status_code == 201, "people say what it may do"


async def test_an_app_makes_no_apps(client: ApiClient, world: World) -> None:
    app = await world.app(scopes=["oauth_apps:write", "emails:read"])
    token = (await world.client_token(app))["access_token"]
    answer = await client.as_(token).post(PATH, json=BODY | {"scopes": ["emails:read"]})
    problem(answer, 403, "forbidden")


async def test_foreign_apps_and_grants_do_not_exist(client: ApiClient, stranger: Tenant, world: World) -> None:
    made = await create(client)
    foreign = client.as_(stranger.key)
    url = f"{PATH}/{made['id']}"
    for answer in (
        await foreign.get(url),
        await foreign.patch(url, json={"name": "x"}),
        await foreign.delete(url),
        await foreign.post(f"{url}/rotate_secret"),
    ):
        problem(answer, 404, "not_found")
    assert (await foreign.get(PATH)).json()["data"] == []
    await world.client_token(await world.app())
    grant = (await client.as_(world.tenant.key).get("/v1/oauth_grants")).json()["data"][0]
    problem(await foreign.get(f"/v1/oauth_grants/{grant['id']}"), 404, "not_found")
    problem(await foreign.delete(f"/v1/oauth_grants/{grant['id']}"), 404, "not_found")
    assert (await foreign.get("/v1/oauth_grants")).json()["data"] == []


async def test_test_keys_see_test_apps_only(client: ApiClient, tenant: Tenant) -> None:
    live = await create(client)
    test = await create(client.as_(tenant.test))
    assert [app["id"] for app in (await client.get(PATH)).json()["data"]] == [live["id"]]
    assert test["mode"] == "test"
    problem(await client.get(f"{PATH}/{test['id']}"), 404, "not_found")


async def test_pages_and_etags(client: ApiClient) -> None:
    made = [await create(client, name=f"App {number}") for number in range(3)]
    page = (await client.get(PATH, params={"limit": 2})).json()
    assert [app["name"] for app in page["data"]] == ["App 2", "App 1"]
    rest = (await client.get(PATH, params={"limit": 2, "after": page["next_cursor"]})).json()
    assert [app["name"] for app in rest["data"]] == ["App 0"]
    url = f"{PATH}/{made[0]['id']}"
    etag = (await client.get(url)).headers["etag"]
    assert (await client.patch(url, json={"name": "A"}, headers={"If-Match": etag})).status_code == 200
    problem(await client.patch(url, json={"name": "B"}, headers={"If-Match": etag}), 412, "precondition_failed")


async def test_a_rehearsed_deletion_ends_nothing(client: ApiClient, world: World) -> None:
    app = await world.app()
    token = (await world.client_token(app))["access_token"]
    owner = client.as_(world.tenant.key)
    assert (await owner.delete(f"{PATH}/{app.client_id}?dry_run=true")).status_code == 204
    world.services.oauth.tokens.forget()
    assert (await world.call(token)).status_code == 200


async def test_grants_are_listed_and_revoked(client: ApiClient, world: World) -> None:
    app = await world.app()
    token = await world.tokens(app)
    owner = client.as_(world.tenant.key)
    grants = (await owner.get("/v1/oauth_grants", params={"oauth_app_id": app.client_id, "status": "active"})).json()
    (grant,) = grants["data"]
    assert (grant["flow"], grant["scopes"], grant["status"]) == ("authorization_code", ["emails:read"], "active")
    assert grant["user_id"] == ids.encode("usr", world.user_id)
    assert (await owner.delete(f"/v1/oauth_grants/{grant['id']}")).status_code == 204
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401
    ended = (await owner.get(f"/v1/oauth_grants/{grant['id']}")).json()
    assert (ended["status"], ended["revoked_reason"]) == ("revoked", "organization")
    logged = await world.services.database.worker.fetch("select action from audit_logs order by sequence")
    assert [row["action"] for row in logged][-2:] == ["oauth_grant.created", "oauth_grant.revoked"]
    answer = await owner.get("/v1/oauth_grants", params={"user_id": "nonsense"})
    assert problem(answer, 422, "validation_failed")["errors"][0]["pointer"] == "user_id"


async def test_only_an_owner_who_is_signed_in_approves(
    client: ApiClient, services: Services, gateway: Gateway, world: World
) -> None:
    app: TestApp = app_of(await register(world))
    url = f"{PATH}/{app.client_id}"
    owner_key = client.as_(world.tenant.key)
    shown = (await owner_key.get(url)).json()
    assert (shown["origin"], shown["approved"]) == ("self_registered", False)
    assert (shown["scopes"], shown["requested_scopes"]) == (["emails:read"], ["emails:write"])
    problem(await owner_key.post(f"{url}/approve"), 403, "owners_only")
    admin = await make_member(services.database, world.tenant.id, "admin")
    browser = await sign_in(services, client, admin.user_id, world.tenant.id)
    problem(await browser.post(f"{url}/approve"), 403, "owners_only")
    browser = await sign_in(services, client, world.user_id, world.tenant.id)
    assert (await browser.post(f"{url}/approve?dry_run=true")).json()["approved"] is True
    assert (await owner_key.get(url)).json()["approved"] is False, "a rehearsal approved it"
    assert (await browser.post(f"{url}/approve")).json()["approved"] is True
    assert (await browser.post(f"{url}/unapprove?dry_run=true")).json()["approved"] is False
    assert (await owner_key.get(url)).json()["approved"] is True
    assert (await browser.post(f"{url}/unapprove")).json()["approved"] is False
    own = await world.app()
    problem(await browser.post(f"{PATH}/{own.client_id}/approve"), 404, "not_found")
    problem(await owner_key.patch(url, json={"name": "mine now"}), 404, "not_found")
    problem(await owner_key.delete(url), 404, "not_found")
