"""Proof of possession (RFC 9449): optional, and strict where it is used."""

from __future__ import annotations

import base64
import time
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.oauth.test_client_credentials import claims_of
from tests.oauth.world import Flow, TestApp, World, refusal

KEY = ECKey.generate_key("P-256")


def proof(world: World, method: str, path: str, *, token: str | None = None, key: ECKey = KEY, **changes: Any) -> str:
    claims: dict[str, Any] = {"jti": uuid4().hex, "htm": method, "htu": world.issuer + path, "iat": int(time.time())}
    if token is not None:
        claims["ath"] = base64.urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
    header: dict[str, Any] = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    for name, value in changes.items():
        (header if name in ("typ", "jwk", "crit") else claims)[name] = value
    return jwt.encode(header, claims, key, algorithms=["ES256"])


async def bound_token(world: World, app: TestApp, **fields: Any) -> dict[str, Any]:
    answer = await world.post(
        "token",
        {"grant_type": "client_credentials", "scope": "emails:read"} | app.auth | fields,
        {"DPoP": proof(world, "POST", "/oauth2/token")},
    )
    assert answer.status_code == 200, answer.text
    token: dict[str, Any] = answer.json()
    return token


async def show(world: World, token: str, made: str | None, scheme: str = "DPoP") -> httpx.Response:
    headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": made} if made is not None else {})
    return await world.http.get("/v1/emails", headers=headers)


async def test_a_bound_token_opens_the_api_with_a_proof_and_not_without(world: World) -> None:
    token = await bound_token(world, await world.app())
    text = token["access_token"]
    assert token["token_type"] == "DPoP"
    assert claims_of(text)["cnf"] == {"jkt": KEY.thumbprint()}
    made = proof(world, "GET", "/v1/emails", token=text)
    assert (await show(world, text, made)).status_code == 200
    for wrong, scheme in (
        (None, "DPoP"),
        (None, "Bearer"),
        (made, "DPoP"),
        (proof(world, "GET", "/v1/emails", token=text), "Bearer"),
    ):
        answer = await show(world, text, wrong, scheme)
        assert answer.status_code == 401, (wrong, scheme)
        assert answer.headers["www-authenticate"].startswith("DPoP ")


@pytest.mark.parametrize(
    "what", ["method", "url", "old", "early", "no jti", "ath", "no ath", "typ", "private", "key", "crit", "garbage"]
)
async def test_proofs_that_are_not_for_this_request_are_refused(world: World, what: str) -> None:
    text = (await bound_token(world, await world.app()))["access_token"]
    other = ECKey.generate_key("P-256")
    changes: dict[str, dict[str, Any]] = {
        "old": {"iat": int(time.time()) - 120},
        "early": {"iat": int(time.time()) + 120},
        "no jti": {"jti": ""},
        "typ": {"typ": "JWT"},
        "private": {"jwk": KEY.as_dict(private=True)},
        "key": {"key": other},
    }
    method, path = ("POST" if what == "method" else "GET"), ("/v1/domains" if what == "url" else "/v1/emails")
    shown_with = {"ath": "another", "no ath": None}.get(what, text)
    made = proof(world, method, path, token=shown_with, **changes.get(what, {}))
    made = {"crit": made.replace(".", "x.", 1), "garbage": "a.b.c"}.get(what, made)
    assert (await show(world, text, made)).status_code == 401


async def test_a_proof_is_good_once_at_the_token_endpoint_too(world: World) -> None:
    app = await world.app()
    fields = {"grant_type": "client_credentials"} | app.auth
    headers = {"DPoP": proof(world, "POST", "/oauth2/token")}
    assert (await world.post("token", fields, headers)).status_code == 200
    refusal(await world.post("token", fields, headers), 400, "invalid_dpop_proof")
    refusal(await world.post("token", fields, {"DPoP": "nonsense"}), 400, "invalid_dpop_proof")


async def test_refresh_tokens_of_public_apps_are_bound_and_of_confidential_ones_not(world: World) -> None:
    """RFC 9449 §5: a confidential client proves who it is in another way."""
    other = ECKey.generate_key("P-256")
    for confidential in (False, True):
        app, flow = await world.app(confidential=confidential), Flow()
        fields = {
            "grant_type": "authorization_code",
            "code": await world.code(app, flow),
            "code_verifier": flow.verifier,
        } | app.auth
        made = proof(world, "POST", "/oauth2/token")
        token = (await world.post("token", fields, {"DPoP": made})).json()
        again = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]} | app.auth
        for headers in ({"DPoP": proof(world, "POST", "/oauth2/token", key=other)}, {}):
            answer = await world.post("token", again, headers)
            if confidential:
                assert answer.status_code == 200
                again["refresh_token"] = answer.json()["refresh_token"]
            else:
                refusal(answer, 400, "invalid_grant")
        answer = await world.post("token", again, {"DPoP": proof(world, "POST", "/oauth2/token")})
        assert answer.json()["token_type"] == "DPoP"


async def test_a_code_can_be_bound_before_it_is_issued(world: World) -> None:
    app, flow = await world.app(), Flow()
    code = await world.code(app, flow, dpop_jkt=KEY.thumbprint())
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": flow.verifier} | app.auth
    refusal(await world.post("token", fields), 400, "invalid_grant")
    other = proof(world, "POST", "/oauth2/token", key=ECKey.generate_key("P-256"))
    refusal(await world.post("token", fields, {"DPoP": other}), 400, "invalid_grant")
    assert (await world.post("token", fields, {"DPoP": proof(world, "POST", "/oauth2/token")})).status_code == 200


async def test_an_app_can_insist_on_it(world: World) -> None:
    app = await world.app(dpop_bound=True)
    refusal(await world.post("token", {"grant_type": "client_credentials"} | app.auth), 400, "invalid_dpop_proof")
    assert (await bound_token(world, app))["token_type"] == "DPoP"


async def test_userinfo_wants_the_proof_too(world: World) -> None:
    app, flow = await world.app(), Flow()
    fields = {
        "grant_type": "authorization_code",
        "code": await world.code(app, flow, scope="openid"),
        "code_verifier": flow.verifier,
    } | app.auth
    text = (await world.post("token", fields, {"DPoP": proof(world, "POST", "/oauth2/token")})).json()["access_token"]
    refusal(await world.http.get("/oauth2/userinfo", headers={"Authorization": f"Bearer {text}"}), 401, "invalid_token")
    headers = {"Authorization": f"DPoP {text}", "DPoP": proof(world, "GET", "/oauth2/userinfo", token=text)}
    assert (await world.http.get("/oauth2/userinfo", headers=headers)).status_code == 200
