"""Revocation (RFC 7009) and introspection (RFC 7662)."""

from __future__ import annotations

import pytest

from penguinmails_core.oauth.records import CODE_GRANT, REFRESH_GRANT
from tests.oauth.world import World, refusal


async def test_a_revoked_refresh_token_takes_everything_along(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app)
    assert (await world.call(token["access_token"])).status_code == 200
    answer = await world.post("revoke", app.auth | {"token": token["refresh_token"]})
    assert (answer.status_code, answer.json()) == (200, {})
    refusal(await world.refresh(app, token["refresh_token"]), 400, "invalid_grant")
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401


async def test_a_revoked_access_token_ends_alone(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app)
    await world.post("revoke", app.auth | {"token": token["access_token"]})
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401
    assert (await world.refresh(app, token["refresh_token"])).status_code == 200


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "nonsense"])
async def test_hints_are_only_hints(world: World, hint: str) -> None:
    app = await world.app()
    token = await world.tokens(app)
    fields = app.auth | {"token": token["refresh_token"], "token_type_hint": hint}
    assert (await world.post("introspect", fields)).json()["active"] is True
    assert (await world.post("revoke", fields)).status_code == 200
    assert (await world.post("introspect", fields)).json() == {"active": False}


@pytest.mark.parametrize("token", ["nonsense", "pmrt_unknown", "eyJhbGciOiJub25lIn0.e30."])
async def test_unknown_tokens_are_fine_to_revoke_and_inactive(world: World, token: str) -> None:
    app = await world.app()
    assert (await world.post("revoke", app.auth | {"token": token})).status_code == 200
    assert (await world.post("introspect", app.auth | {"token": token})).json() == {"active": False}


async def test_public_clients_revoke_by_their_id_and_cannot_introspect(world: World) -> None:
    app = await world.app(confidential=False)
    token = await world.tokens(app)
    refusal(await world.post("introspect", app.auth | {"token": token["access_token"]}), 401, "invalid_client")
    assert (await world.post("revoke", app.auth | {"token": token["refresh_token"]})).status_code == 200
    refusal(await world.refresh(app, token["refresh_token"]), 400, "invalid_grant")


async def test_nobody_revokes_for_another_client(world: World) -> None:
    app, other = await world.app(), await world.app()
    token = await world.tokens(app)
    refusal(await world.post("revoke", other.auth | {"token": token["refresh_token"]}), 400, "invalid_grant")
    wrong = app.auth | {"client_secret": "wrong", "token": token["refresh_token"]}
    refusal(await world.post("revoke", wrong), 401, "invalid_client")
    refusal(await world.post("revoke", {"token": token["refresh_token"]}), 401, "invalid_client")
    assert (await world.refresh(app, token["refresh_token"])).status_code == 200


async def test_introspection_tells_what_a_token_is_worth(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app, scope="emails:read")
    told = (await world.post("introspect", {"token": token["access_token"]}, app.basic)).json()
    assert told["active"] is True
    assert (told["client_id"], told["scope"], told["token_type"]) == (app.client_id, "emails:read", "Bearer")
    assert (told["iss"], told["aud"]) == (world.issuer, [world.issuer])
    assert told["sub"].startswith("usr_")
    assert told["exp"] - told["iat"] == 600
    used = (await world.refresh(app, token["refresh_token"])).json()
    assert (await world.post("introspect", app.auth | {"token": token["refresh_token"]})).json() == {"active": False}
    assert (await world.post("introspect", app.auth | {"token": used["refresh_token"]})).json()["active"] is True


async def test_a_resource_server_of_the_organization_may_ask_and_no_other(world: World) -> None:
    app, server = await world.app(), await world.app(name="Resource server", grant_types=[CODE_GRANT, REFRESH_GRANT])
    token = (await world.tokens(app))["access_token"]
    assert (await world.post("introspect", server.auth | {"token": token})).json()["active"] is True
    await world.services.database.worker.execute(
        "update oauth_apps set organization_id = gen_random_uuid() where id = $1", server.id
    )
    assert (await world.post("introspect", server.auth | {"token": token})).json() == {"active": False}


async def test_the_token_parameter_is_required(world: World) -> None:
    app = await world.app()
    refusal(await world.post("revoke", app.auth), 400, "invalid_request")
    refusal(await world.post("introspect", app.auth), 400, "invalid_request")
