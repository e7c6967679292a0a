"""Apps of the organization that act for themselves, and the access tokens they get (RFC 6749 §4.4, RFC 9068)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from penguinmails_core.kit import ids
from penguinmails_core.oauth import apps
from penguinmails_core.oauth.records import CODE_GRANT
from tests.oauth.world import World, refusal


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


async def test_a_token_is_a_signed_jwt_that_opens_the_api(world: World) -> None:
    app = await world.app()
    token = await world.client_token(app, scope="emails:read")
    assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", "emails:read", 600)
    assert "refresh_token" not in token
    keys = KeySet.import_key_set((await world.http.get("/.well-known/jwks.json")).json())
    read = jwt.decode(token["access_token"], keys, algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    assert read.claims["iss"] == read.claims["aud"] == world.issuer
    assert read.claims["sub"] == read.claims["client_id"] == app.client_id
    assert read.claims["exp"] - read.claims["iat"] == 600
    me = await world.call(token["access_token"])
    assert me.status_code == 200
    answer = await world.call(token["access_token"], "/v1/domains")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_without_a_scope_it_gets_all_that_the_app_has_except_about_people(world: World) -> None:
    token = await world.client_token(await world.app())
    assert token["scope"] == "domains:read emails:read emails:write"


@pytest.mark.parametrize("scope", ["members:write", "openid", "emails:fly", "emails:read members:read"])
async def test_nobody_gets_more_scope_than_the_app_has(world: World, scope: str) -> None:
    app = await world.app()
    answer = await world.post("token", {"grant_type": "client_credentials", "scope": scope} | app.auth)
    refusal(answer, 400, "invalid_scope")


async def test_basic_is_decoded_as_clients_encode_it(world: World) -> None:
    app = await world.app()
    assert app.secret is not None
    for client_id in (app.client_id, app.client_id.replace("_", "%5F")):
        pair = base64.b64encode(f"{client_id}:{app.secret.replace('_', '%5f')}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        answer = await world.post("token", {"grant_type": "client_credentials"}, headers)
        assert answer.status_code == 200, answer.text


async def test_a_wrong_secret_is_401_and_challenged_only_where_basic_was_used(world: World) -> None:
    app = await world.app()
    wrong = {"client_id": app.client_id, "client_secret": "wrong"}
    answer = await world.post("token", {"grant_type": "client_credentials"} | wrong)
    refusal(answer, 401, "invalid_client")
    assert "www-authenticate" not in answer.headers
    pair = base64.b64encode(f"{app.client_id}:wrong".encode()).decode()
    answer = await world.post("token", {"grant_type": "client_credentials"}, {"Authorization": f"Basic {pair}"})
    refusal(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    "authorization",
    [
        b"Basic",
        b"Basic !!!",
        b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
        b"Basic " + base64.b64encode(b"no colon"),
        b"Basic " + base64.b64encode(b"app_01kaz6yzwhe1xrqm3c8s4q3m8r:%ff"),
        b"Bearer abc",
        b"Basic " + base64.b64encode(b"app_01kaz6yzwhe1xrqm3c8s4q3m8r:x"),
    ],
)
async def test_credentials_that_cannot_be_read_are_refused_not_stumbled_over(
    world: World, authorization: bytes
) -> None:
    answer = await world.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, headers={b"Authorization": authorization}
    )
    refusal(answer, 401, "invalid_client")


async def test_two_ways_to_authenticate_and_repeated_parameters_are_refused(world: World) -> None:
    app = await world.app()
    answer = await world.post("token", {"grant_type": "client_credentials"} | app.auth, app.basic)
    refusal(answer, 400, "invalid_request")
    body = f"grant_type=client_credentials&grant_type=client_credentials&client_id={app.client_id}"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    refusal(await world.http.post("/oauth2/token", content=body, headers=kind), 400, "invalid_request")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"grant_type", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"grant_type=\xc3\xa4", "application/x-www-form-urlencoded"),
        (b"grant_type=a%00b", "application/x-www-form-urlencoded"),
        (b"grant_type=" + b"a" * 5000, "application/x-www-form-urlencoded"),
    ],
)
async def test_bodies_that_are_no_forms_are_400(world: World, content: bytes, kind: str) -> None:
    answer = await world.http.post("/oauth2/token", content=content, headers={"Content-Type": kind})
    refusal(answer, 400, "invalid_request")


async def test_grant_types_that_are_missing_unknown_or_not_the_apps_are_told_apart(world: World) -> None:
    app = await world.app(grant_types=[CODE_GRANT])
    refusal(await world.post("token", app.auth), 400, "invalid_request")
    refusal(await world.post("token", {"grant_type": "password"} | app.auth), 400, "unsupported_grant_type")
    refusal(await world.post("token", {"grant_type": "client_credentials"} | app.auth), 400, "unauthorized_client")


async def test_a_public_app_cannot_act_alone(world: World) -> None:
    app = await world.app(confidential=False)
    refusal(await world.post("token", {"grant_type": "client_credentials"} | app.auth), 401, "invalid_client")


async def test_resources_are_ours_or_refused(world: World) -> None:
    app = await world.app()
    token = await world.client_token(app, resource=f"{world.issuer}/v1")
    assert claims_of(token["access_token"])["aud"] == f"{world.issuer}/v1"
    assert (await world.call(token["access_token"])).status_code == 200
    two = await world.client_token(app, resource=[f"{world.issuer}/v1", f"{world.issuer}/graphql"])
    assert claims_of(two["access_token"])["aud"] == [f"{world.issuer}/v1", f"{world.issuer}/graphql"]
    answer = await world.post(
        "token", {"grant_type": "client_credentials", "resource": "https://elsewhere.example"} | app.auth
    )
    refusal(answer, 400, "invalid_target")


async def test_a_rotated_secret_works_until_the_overlap_ends(world: World) -> None:
    app = await world.app()
    async with world.services.database.tenant(world.tenant.id) as session:
        _, fresh = await apps.rotate_secret(session, world.tenant.principal(), app.id)
    for secret in (app.secret, fresh):
        fields = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": secret}
        assert (await world.post("token", fields)).status_code == 200
    await world.services.database.worker.execute("update oauth_apps set previous_secret_expires_at = now()")
    ended = {"grant_type": "client_credentials"} | app.auth
    refusal(await world.post("token", ended), 401, "invalid_client")


async def test_a_deleted_app_ends_with_its_tokens(world: World) -> None:
    app = await world.app()
    token = (await world.client_token(app))["access_token"]
    async with world.services.database.tenant(world.tenant.id) as session:
        await apps.delete(session, world.tenant.principal(), app.id)
    world.services.oauth.tokens.forget()
    assert (await world.call(token)).status_code == 401
    refusal(await world.post("token", {"grant_type": "client_credentials"} | app.auth), 401, "invalid_client")


async def test_narrowing_the_app_narrows_tokens_that_are_out(world: World) -> None:
    app = await world.app()
    token = (await world.client_token(app, scope="emails:read"))["access_token"]
    async with world.services.database.tenant(world.tenant.id) as session:
        await apps.update(session, world.tenant.principal(), app.id, {"scopes": ["domains:read"]})
    world.services.oauth.tokens.forget()
    answer = await world.call(token)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_one_grant_however_many_tokens(world: World) -> None:
    app = await world.app()
    grants = {claims_of((await world.client_token(app))["access_token"])["gid"] for _ in range(3)}
    assert len(grants) == 1


# ---- tokens that are not ours


def _forge(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    return ".".join((part(json.dumps(header).encode()), part(json.dumps(claims).encode()), part(signature)))


@pytest.mark.parametrize(
    "what",
    ["none", "NONE", "typ", "no typ", "kid", "no kid", "foreign key", "hmac", "crit", "iss", "aud", "exp", "iat"],
)
async def test_forged_and_foreign_tokens_are_refused(world: World, what: str) -> None:
    token = (await world.client_token(await world.app(), scope="emails:read"))["access_token"]
    claims = claims_of(token)
    ring = world.services.oauth.ring
    own = ring.current("ES256")
    header: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": own.kid}
    key: Any = own.key
    match what:
        case "none" | "NONE":
            forged = _forge(header | {"alg": what.lower() if what == "none" else "None"}, claims)
        case "typ":
            header["typ"] = "JWT"
        case "no typ":
            del header["typ"]
        case "kid":
            header["kid"] = "0" * 32
        case "no kid":
            del header["kid"]
        case "foreign key":
            key = ECKey.generate_key("P-256")
        case "hmac":
            forged = _forge(header | {"alg": "HS256"}, claims, b"x" * 32)
        case "crit":
            header["crit"] = ["b64"]
        case "iss":
            claims["iss"] = "https://elsewhere.example"
        case "aud":
            claims["aud"] = "https://elsewhere.example"
        case "exp":
            claims |= {"iat": claims["iat"] - 700, "exp": claims["iat"] - 100}
        case "iat":
            claims |= {"iat": claims["iat"] + 60, "exp": claims["iat"] + 600}
    if what not in ("none", "NONE", "hmac"):
        if what == "crit":
            forged = _forge(header, claims, b"x" * 64)
        else:
            forged = jwt.encode(header, claims, key, algorithms=["ES256"])
    answer = await world.call(forged)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    challenge = answer.headers["www-authenticate"]
    assert 'error="invalid_token"' in challenge
    assert f'resource_metadata="{world.issuer}/.well-known/oauth-protected-resource"' in challenge


async def test_five_seconds_of_disagreeing_clocks_are_forgiven(world: World) -> None:
    token = (await world.client_token(await world.app(), scope="emails:read"))["access_token"]
    own = world.services.oauth.ring.current("ES256")
    claims = claims_of(token)
    claims |= {"iat": claims["iat"] + 3}
    header = {"alg": "ES256", "typ": "at+jwt", "kid": own.kid}
    ahead = jwt.encode(header, claims, own.key, algorithms=["ES256"])
    assert (await world.call(ahead)).status_code == 200


async def test_every_401_says_where_to_get_a_token(world: World) -> None:
    answer = await world.http.get("/v1/me")
    assert answer.status_code == 401
    where = answer.headers["www-authenticate"].partition('resource_metadata="')[2].strip('"')
    told = (await world.http.get(where)).json()
    assert told["resource"] == told["authorization_servers"][0] == world.issuer


async def test_a_token_of_a_test_app_sees_test_data_only(world: World) -> None:
    async with world.services.database.tenant(world.tenant.id) as session:
        app, secret = await apps.create(
            session,
            world.tenant.principal("test"),
            {
                "name": "Test app",
                "confidential": True,
                "redirect_uris": [],
                "grant_types": ["client_credentials"],
                "scopes": ["emails:read"],
            },
        )
    fields = {"client_id": ids.encode("app", app.id), "client_secret": secret}
    token = (await world.post("token", {"grant_type": "client_credentials"} | fields)).json()["access_token"]
    credential = await world.services.oauth.tokens.find(token)
    assert credential.principal.mode == "test"
