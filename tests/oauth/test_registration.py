"""Apps that register themselves: what they may be, what they get, and what an approval changes (RFC 7591, 7592)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from penguinmails_core.identity.accounts import create_person
from penguinmails_core.kit import ids
from penguinmails_core.oauth import apps, apps_repository
from tests.oauth.world import REDIRECT, Flow, TestApp, World, answered, owner_of, refusal

METADATA: dict[str, Any] = {
    "client_name": "Inbox helper",
    "redirect_uris": [REDIRECT],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
    "scope": "emails:read emails:write",
}


async def register(world: World, **changes: Any) -> httpx.Response:
    metadata = {name: value for name, value in (METADATA | changes).items() if value is not None}
    return await world.http.post("/oauth2/register", json=metadata)


def app_of(answer: httpx.Response) -> TestApp:
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return TestApp(ids.decode("app", body["client_id"]), body.get("client_secret"))


async def approve(world: World, app_id: UUID) -> None:
    app = await apps_repository.dynamic_app(world.services.database.worker, app_id)
    assert app is not None
    async with world.services.database.tenant(world.tenant.id) as session:
        await apps.approve(session, world.owner, app)


async def test_a_registered_app_can_ask_people_for_read_access(world: World) -> None:
    answer = await register(world)
    body = answer.json()
    assert answer.headers["access-control-allow-origin"] == "*"
    assert body["scope"] == "emails:read", "nothing that sends without approval"
    assert "client_secret" not in body, "public apps have none"
    app, flow = app_of(answer), Flow()
    page = await world.browse(world.authorize_url(app, flow))
    assert "unverified" in page.text
    code = answered(await world.decide(page))["code"]
    assert (await world.exchange(app, flow, code)).json()["scope"] == "emails:read"
    assert "unverified" in (await world.browse("/account/apps")).text


async def test_sending_needs_an_approval_which_can_be_withdrawn(world: World) -> None:
    app, flow = app_of(await register(world)), Flow()
    url = world.authorize_url(app, flow, scope="emails:read emails:write")
    assert answered(await world.browse(url))["error"] == "invalid_scope"
    await approve(world, app.id)
    code = answered(await world.decide(await world.browse(url)))["code"]
    token = (await world.exchange(app, flow, code)).json()
    assert token["scope"] == "emails:read emails:write"
    dynamic = await apps_repository.dynamic_app(world.services.database.worker, app.id)
    assert dynamic is not None
    async with world.services.database.tenant(world.tenant.id) as session:
        await apps.withdraw_approval(session, world.owner, dynamic)
    world.services.oauth.tokens.forget()
    scopes = (await world.services.oauth.tokens.find(token["access_token"])).principal.scopes
    assert "emails:write" not in scopes
    assert (await world.refresh(app, token["refresh_token"])).json()["scope"] == "emails:read"


async def test_an_approval_of_one_organization_is_none_of_another(world: World, stranger: Any) -> None:
    app = app_of(await register(world))
    dynamic = await apps_repository.dynamic_app(world.services.database.worker, app.id)
    assert dynamic is not None
    user_id, _ = await create_person(
        world.services.database, "bob@example.com", organization_id=stranger.id, role="owner"
    )
    async with world.services.database.tenant(stranger.id) as session:
        await apps.approve(session, owner_of(stranger, user_id), dynamic)
    flow = Flow()
    page = await world.browse(world.authorize_url(app, flow, scope="emails:read emails:write"))
    code = answered(await world.decide(page))["code"]
    assert (await world.exchange(app, flow, code)).json()["scope"] == "emails:read"


async def test_it_never_acts_alone(world: World) -> None:
    answer = await register(world, grant_types=["client_credentials"], token_endpoint_auth_method=None)
    refusal(answer, 400, "invalid_client_metadata")
    app = app_of(await register(world, token_endpoint_auth_method="client_secret_post"))
    await approve(world, app.id)
    refusal(await world.post("token", {"grant_type": "client_credentials"} | app.auth), 400, "unauthorized_client")


@pytest.mark.parametrize("scope", ["api_keys:write", "oauth_apps:write", "members:write", "organizations:write"])
async def test_it_never_gets_what_hands_out_access_approved_or_not(world: World, scope: str) -> None:
    app = app_of(await register(world, scope=f"emails:read {scope}"))
    await approve(world, app.id)
    assert answered(await world.browse(world.authorize_url(app, Flow(), scope=scope)))["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "uri",
    [
        "javascript://x/%0aalert(1)",
        "data://text/html,x",
        "http://evil.example/cb",
        "https://*.example.com/cb",
        "https://app.example/cb#x",
        "https://user@app.example/cb",
        "https://",
        "app:/cb",
        'https://app.example/"x',
        "https://app.example/ä",
        "https://app.example:0/cb",
        1,
        None,
        "",
    ],
)
async def test_redirect_uris_that_are_dangerous_are_refused(world: World, uri: Any) -> None:
    refusal(await register(world, redirect_uris=[uri]), 400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "uri", ["com.example.app:/cb", "http://127.0.0.1/cb", "http://[::1]/", "http://localhost:8080"]
)
async def test_installed_apps_can_register(world: World, uri: str) -> None:
    assert app_of(await register(world, redirect_uris=[uri]))


@pytest.mark.parametrize(
    "changes",
    [
        {"grant_types": ["password"]},
        {"grant_types": ["refresh_token"]},
        {"grant_types": "authorization_code"},
        {"response_types": ["token"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"client_name": "x" * 101},
        {"client_name": "two\nlines"},
        {"client_name": 7},
        {"client_uri": "javascript:alert(1)"},
        {"contacts": [7]},
        {"scope": ["emails:read"]},
        {"scope": "emails:write"},
        {"id_token_signed_response_alg": "none"},
        {"client_name": "a\x00b"},
    ],
)
async def test_metadata_that_cannot_be_is_refused(world: World, changes: dict[str, Any]) -> None:
    refusal(await register(world, **changes), 400, "invalid_client_metadata")


async def test_what_is_no_json_object_is_refused(world: World) -> None:
    for content, kind in ((b"[]", "application/json"), (b"{", "application/json"), (b"{}", "text/plain")):
        answer = await world.http.post("/oauth2/register", content=content, headers={"Content-Type": kind})
        refusal(answer, 400, "invalid_client_metadata")


async def test_one_address_registers_a_few(world: World) -> None:
    burst = world.services.oauth.settings.registration_burst
    for _ in range(burst):
        app_of(await register(world))
    answer = await register(world)
    refusal(answer, 429, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_it_can_be_turned_off(world: World) -> None:
    oauth = world.services.oauth
    oauth.settings = oauth.settings.model_copy(update={"dynamic_registration": False})
    refusal(await register(world), 403, "access_denied")
    told = (await world.http.get("/.well-known/oauth-authorization-server")).json()
    assert "registration_endpoint" not in told


async def test_a_registration_is_managed_with_its_own_token(world: World) -> None:
    made = (await register(world, token_endpoint_auth_method="client_secret_basic")).json()
    uri = made["registration_client_uri"]
    token = {"Authorization": f"Bearer {made['registration_access_token']}"}
    read = (await world.http.get(uri, headers=token)).json()
    assert read["client_name"] == "Inbox helper"
    assert "client_secret" not in read, "shown once"
    for wrong in ({}, {"Authorization": "Bearer pmra_wrong"}, {"Authorization": f"Bearer {world.tenant.key}"}):
        refusal(await world.http.get(uri, headers=wrong), 401, "invalid_token")
        refusal(await world.http.put(uri, headers=wrong, json=METADATA), 401, "invalid_token")
        refusal(await world.http.delete(uri, headers=wrong), 401, "invalid_token")
    changed = await world.http.put(uri, headers=token, json=METADATA | {"client_name": "Inbox aid"})
    assert (changed.status_code, changed.json()["client_name"]) == (200, "Inbox aid")
    refusal(await world.http.put(uri, headers=token, json={"redirect_uris": ["x"]}), 400, "invalid_redirect_uri")
    assert (await world.http.delete(uri, headers=token)).status_code == 204
    refusal(await world.http.get(uri, headers=token), 401, "invalid_token")


async def test_a_registration_cannot_manage_another(world: World) -> None:
    mine, other = (await register(world)).json(), (await register(world)).json()
    token = {"Authorization": f"Bearer {mine['registration_access_token']}"}
    refusal(await world.http.get(other["registration_client_uri"], headers=token), 401, "invalid_token")


async def test_other_redirect_uris_need_a_new_approval(world: World) -> None:
    made = (await register(world)).json()
    app = TestApp(ids.decode("app", made["client_id"]), None)
    await approve(world, app.id)
    token = {"Authorization": f"Bearer {made['registration_access_token']}"}
    moved = METADATA | {"redirect_uris": [REDIRECT, "https://elsewhere.example/cb"]}
    assert (await world.http.put(made["registration_client_uri"], headers=token, json=moved)).status_code == 200
    url = world.authorize_url(app, Flow(), scope="emails:read emails:write")
    assert answered(await world.browse(url))["error"] == "invalid_scope"


async def test_deleting_a_registration_ends_its_tokens(world: World) -> None:
    made = (await register(world)).json()
    app, flow = TestApp(ids.decode("app", made["client_id"]), None), Flow()
    access = (await world.exchange(app, flow, await world.code(app, flow))).json()["access_token"]
    token = {"Authorization": f"Bearer {made['registration_access_token']}"}
    await world.http.delete(made["registration_client_uri"], headers=token)
    world.services.oauth.tokens.forget()
    assert (await world.call(access)).status_code == 401
