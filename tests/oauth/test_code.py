"""Authorization code with PKCE, and refresh tokens: what works, and each way in which it must not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from penguinmails_core.oauth.records import CODE_GRANT, REFRESH_GRANT
from tests.oauth.test_client_credentials import claims_of
from tests.oauth.world import REDIRECT, Flow, World, answered, refusal


async def test_the_whole_way(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app, scope="emails:read openid email profile", nonce="n-1")
    assert token["scope"] == "emails:read openid profile email"
    assert (await world.call(token["access_token"])).status_code == 200
    credential = await world.services.oauth.tokens.find(token["access_token"])
    principal = credential.principal
    assert (principal.kind, principal.user_id, principal.app_id) == ("oauth", world.user_id, app.id)
    keys = KeySet.import_key_set((await world.http.get("/.well-known/jwks.json")).json())
    identity = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    assert identity.claims["aud"] == app.client_id
    assert (identity.claims["nonce"], identity.claims["email"]) == ("n-1", "ada@example.com")
    assert {"auth_time", "amr", "at_hash", "iat", "exp"} <= set(identity.claims)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    who = (await world.http.get("/oauth2/userinfo", headers=headers)).json()
    assert who == {
        "sub": identity.claims["sub"],
        "email": "ada@example.com",
        "email_verified": False,
        "name": who["name"],
    }
    fresh = await world.refresh(app, token["refresh_token"])
    assert fresh.status_code == 200
    assert fresh.json()["scope"] == token["scope"]
    assert fresh.json()["refresh_token"] != token["refresh_token"]


async def test_userinfo_wants_a_token_with_openid(world: World) -> None:
    app = await world.app()
    token = (await world.tokens(app))["access_token"]
    answer = await world.http.get("/oauth2/userinfo", headers={"Authorization": f"Bearer {token}"})
    refusal(answer, 403, "insufficient_scope")
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {world.tenant.key}"}):
        answer = await world.http.get("/oauth2/userinfo", headers=headers)
        refusal(answer, 401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_id_token_can_be_es256(world: World) -> None:
    app = await world.app(id_token_alg="ES256")
    keys = KeySet.import_key_set((await world.http.get("/.well-known/jwks.json")).json())
    token = await world.tokens(app, scope="openid")
    assert jwt.decode(token["id_token"], keys, algorithms=["ES256"]).header["alg"] == "ES256"


# ---- requests that are not good


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example/cb/",
        "https://app.example/cb?x=1",
        "https://app.example:444/cb",
        "https://APP.example/cb",
        "https://app.example.evil/cb",
        "http://app.example/cb",
        'https://app.example/"',
        "https://app.example/é",
        "javascript:alert(1)",
    ],
)
async def test_a_redirect_that_is_not_registered_is_a_page_and_never_followed(world: World, redirect_uri: str) -> None:
    app = await world.app()
    answer = await world.browse(world.authorize_url(app, Flow(), redirect_uri=redirect_uri))
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers


async def test_an_unknown_client_is_a_page(world: World) -> None:
    app = await world.app()
    for client_id in ("app_01kaz6yzwhe1xrqm3c8s4q3m8r", "nonsense", None):
        answer = await world.browse(world.authorize_url(app, Flow(), client_id=client_id))
        assert (answer.status_code, answer.headers.get("location")) == (400, None)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "a" * 43 + "\n"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'code"é'}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "emails:fly"}, "invalid_scope"),
        ({"scope": "members:write"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "none"}, "consent_required"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
    ],
)
async def test_other_mistakes_are_told_to_the_client(world: World, changes: dict[str, Any], error: str) -> None:
    """With `iss`, so that answers cannot be mixed up (RFC 9207), and never cached."""
    app, flow = await world.app(), Flow()
    answer = await world.browse(world.authorize_url(app, flow, **changes))
    told = answered(answer)
    assert (told["error"], told["state"], told["iss"]) == (error, flow.state, world.issuer)
    assert answer.headers["location"].startswith(REDIRECT + "?")
    assert answer.headers["cache-control"] == "no-store"


async def test_confidential_clients_need_pkce_too(world: World) -> None:
    """Authlib's own extension asks public ones only."""
    for confidential in (True, False):
        app, flow = await world.app(confidential=confidential), Flow()
        code = await world.code(app, flow)
        fields = {"grant_type": CODE_GRANT, "code": code} | app.auth
        refusal(await world.post("token", fields), 400, "invalid_request")
        for wrong in (Flow().verifier, flow.challenge):
            refusal(await world.post("token", fields | {"code_verifier": wrong}), 400, "invalid_grant")
        for malformed in ("short", flow.verifier + "\n", "a" * 129):
            refusal(await world.post("token", fields | {"code_verifier": malformed}), 400, "invalid_request")
        assert (await world.post("token", fields | {"code_verifier": flow.verifier})).status_code == 200


async def test_the_redirect_uri_is_repeated_or_left_out_at_the_token_endpoint(world: World) -> None:
    app, flow = await world.app(), Flow()
    code = await world.code(app, flow)
    refusal(await world.exchange(app, flow, code, redirect_uri="https://app.example/other"), 400, "invalid_grant")
    answer = await world.exchange(app, flow, code, redirect_uri="")
    assert answer.status_code == 200


async def test_loopback_apps_choose_their_port(world: World) -> None:
    uris = ["http://127.0.0.1/cb", "http://[::1]:1/cb?a=b", "http://localhost:7000/cb", "com.example.app:/cb"]
    app = await world.app(confidential=False, redirect_uris=uris)
    for uri in (
        "http://127.0.0.1:51004/cb",
        "http://[::1]:9/cb?a=b",
        "http://localhost:7000/cb",
        "com.example.app:/cb",
    ):
        flow = Flow()
        code = await world.code(app, flow, redirect_uri=uri)
        assert (await world.exchange(app, flow, code, redirect_uri=uri)).status_code == 200
    for uri in (
        "http://localhost:7001/cb",
        "http://127.0.0.1:1/other",
        "http://127.0.0.1:1/cb?a=b",
        "http://127.0.0.2:1/cb",
        "https://127.0.0.1:1/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:1/cb#x",
    ):
        assert (await world.browse(world.authorize_url(app, Flow(), redirect_uri=uri))).status_code == 400


async def test_a_code_of_another_client_is_refused_and_stays_good(world: World) -> None:
    app, other, flow = await world.app(), await world.app(), Flow()
    code = await world.code(app, flow)
    refusal(await world.exchange(other, flow, code), 400, "invalid_grant")
    assert (await world.exchange(app, flow, code)).status_code == 200


async def test_a_code_expires(world: World) -> None:
    app, flow = await world.app(), Flow()
    code = await world.code(app, flow)
    await world.services.database.worker.execute("update oauth_codes set expires_at = now()")
    refusal(await world.exchange(app, flow, code), 400, "invalid_grant")


async def test_a_replayed_code_is_refused_and_what_came_of_it_ends(world: World) -> None:
    """The revocation is committed although the answer is an error."""
    app, flow = await world.app(), Flow()
    code = await world.code(app, flow)
    token = (await world.exchange(app, flow, code)).json()
    assert (await world.call(token["access_token"])).status_code == 200
    refusal(await world.exchange(app, flow, code), 400, "invalid_grant")
    reason = await world.services.database.worker.fetchval("select revoked_reason from oauth_grants")
    assert reason == "code_replay"
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401
    refusal(await world.refresh(app, token["refresh_token"]), 400, "invalid_grant")


async def test_of_eight_exchanges_at_once_exactly_one_gets_tokens(world: World) -> None:
    app, flow = await world.app(), Flow()
    code = await world.code(app, flow)
    answers = await asyncio.gather(*(world.exchange(app, flow, code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


# ---- refresh tokens


async def test_five_refreshes_at_once_are_no_theft(world: World) -> None:
    app = await world.app()
    first = (await world.tokens(app))["refresh_token"]
    answers = await asyncio.gather(*(world.refresh(app, first) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    for answer in answers:
        assert (await world.refresh(app, answer.json()["refresh_token"])).status_code == 200


async def test_reuse_after_the_grace_ends_the_family(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app)
    second = (await world.refresh(app, token["refresh_token"])).json()
    await world.services.database.worker.execute(
        "update oauth_refresh_tokens set used_at = used_at - interval '11 seconds' where used_at is not null"
    )
    refusal(await world.refresh(app, token["refresh_token"]), 400, "invalid_grant")
    assert await world.services.database.worker.fetchval("select revoked_reason from oauth_grants") == (
        "refresh_token_reuse"
    )
    refusal(await world.refresh(app, second["refresh_token"]), 400, "invalid_grant")
    world.services.oauth.tokens.forget()
    assert (await world.call(second["access_token"])).status_code == 401


async def test_without_grace_the_second_use_is_theft_at_once(world: World) -> None:
    oauth = world.services.oauth
    oauth.settings = oauth.settings.model_copy(update={"refresh_grace": timedelta(0)})
    app = await world.app()
    first = (await world.tokens(app))["refresh_token"]
    assert (await world.refresh(app, first)).status_code == 200
    refusal(await world.refresh(app, first), 400, "invalid_grant")
    assert await world.services.database.worker.fetchval("select revoked_at is not null from oauth_grants")


async def test_a_refresh_can_narrow_and_the_next_one_has_all_again(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app, scope="emails:read domains:read")
    narrow = (await world.refresh(app, token["refresh_token"], scope="emails:read")).json()
    assert narrow["scope"] == "emails:read"
    wide = (await world.refresh(app, narrow["refresh_token"])).json()
    assert wide["scope"] == "domains:read emails:read"
    refusal(await world.refresh(app, wide["refresh_token"], scope="emails:write"), 400, "invalid_scope")


async def test_a_refresh_token_is_bound_to_its_client_and_expires(world: World) -> None:
    app, other = await world.app(), await world.app()
    token = (await world.tokens(app))["refresh_token"]
    refusal(await world.refresh(other, token), 400, "invalid_grant")
    refusal(await world.refresh(app, "pmrt_unknown"), 400, "invalid_grant")
    refusal(await world.post("token", {"grant_type": REFRESH_GRANT} | app.auth), 400, "invalid_request")
    await world.services.database.worker.execute("update oauth_refresh_tokens set expires_at = now()")
    refusal(await world.refresh(app, token), 400, "invalid_grant")


async def test_resources_are_kept_and_can_only_be_narrowed(world: World) -> None:
    app, flow = await world.app(), Flow()
    url = world.authorize_url(app, flow, resource=f"{world.issuer}/v1") + f"&resource={world.issuer}/graphql"
    code = answered(await world.decide(await world.browse(url)))["code"]
    token = (await world.exchange(app, flow, code, resource=f"{world.issuer}/v1")).json()
    assert claims_of(token["access_token"])["aud"] == f"{world.issuer}/v1"
    both = (await world.refresh(app, token["refresh_token"])).json()
    assert claims_of(both["access_token"])["aud"] == [f"{world.issuer}/v1", f"{world.issuer}/graphql"]
    refusal(await world.refresh(app, both["refresh_token"], resource=f"{world.issuer}/v2"), 400, "invalid_target")


# ---- never more than the person may do now


async def test_a_role_that_shrinks_shrinks_tokens_that_are_out(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app, scope="emails:read emails:write")
    await world.services.database.worker.execute("update members set role = 'viewer'")
    world.services.oauth.tokens.forget()
    scopes = (await world.services.oauth.tokens.find(token["access_token"])).principal.scopes
    assert "emails:read" in scopes
    assert "emails:write" not in scopes
    assert (await world.refresh(app, token["refresh_token"])).json()["scope"] == "emails:read"


async def test_who_leaves_takes_their_grants_along(world: World) -> None:
    app = await world.app()
    token = await world.tokens(app)
    await world.services.database.worker.execute("delete from members")
    world.services.oauth.tokens.forget()
    assert (await world.call(token["access_token"])).status_code == 401
    refusal(await world.refresh(app, token["refresh_token"]), 400, "invalid_grant")


async def test_a_viewer_grants_only_what_a_viewer_has(world: World) -> None:
    await world.services.database.worker.execute("update members set role = 'viewer'")
    app = await world.app()
    flow = Flow()
    page = await world.browse(world.authorize_url(app, flow, scope="emails:write domains:read"))
    assert "not allowed by your role" in page.text
    code = answered(await world.decide(page))["code"]
    assert (await world.exchange(app, flow, code)).json()["scope"] == "domains:read"
    page = await world.browse(world.authorize_url(app, Flow(), scope="emails:write"))
    assert (await world.decide(page)).status_code == 422
