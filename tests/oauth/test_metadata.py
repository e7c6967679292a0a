"""What clients find out by themselves, and which pages may call what."""

from __future__ import annotations

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.oauth.world import World, refusal


async def test_the_documents_are_valid(world: World) -> None:
    """By Authlib's validators; it demands https, so the check is made for such an issuer."""
    for path, kind in (
        ("/.well-known/oauth-authorization-server", AuthorizationServerMetadata),
        ("/.well-known/openid-configuration", OpenIDProviderMetadata),
    ):
        answer = await world.http.get(path)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "max-age" in answer.headers["cache-control"]
        told = answer.json()
        assert told["issuer"] == world.issuer
        secure = {
            name: value.replace("http://", "https://") if isinstance(value, str) else value
            for name, value in told.items()
        }
        kind(secure).validate()


async def test_every_url_in_them_answers(world: World) -> None:
    told = (await world.http.get("/.well-known/openid-configuration")).json()
    for name, url in told.items():
        if name.endswith(("_endpoint", "_uri")):
            assert (await world.http.get(url)).status_code != 404, name


@pytest.mark.parametrize("part", ["", "/v1", "/v2", "/graphql"])
async def test_the_resource_tells_its_server(world: World, part: str) -> None:
    told = (await world.http.get("/.well-known/oauth-protected-resource" + part)).json()
    assert (told["resource"], told["authorization_servers"]) == (world.issuer + part, [world.issuer])
    assert "emails:write" in told["scopes_supported"]


async def test_there_are_no_other_resources(world: World) -> None:
    assert (await world.http.get("/.well-known/oauth-protected-resource/v9")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/oauth2/token",
        "/oauth2/revoke",
        "/oauth2/introspect",
        "/oauth2/par",
        "/oauth2/register",
        "/oauth2/register/app_x",
        "/oauth2/userinfo",
        "/oauth2/device_authorization",
        "/.well-known/jwks.json",
        "/.well-known/oauth-protected-resource/v1",
    ],
)
async def test_pages_of_any_origin_may_call_what_clients_call(world: World, path: str) -> None:
    answer = await world.http.options(
        path, headers={"Origin": "https://spa.example", "Access-Control-Request-Method": "POST"}
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "Authorization" in answer.headers["access-control-allow-headers"]


async def test_errors_can_be_read_from_other_origins_too(world: World) -> None:
    answer = await world.post("token", {"grant_type": "client_credentials"}, {"Origin": "https://spa.example"})
    refusal(answer, 401, "invalid_client")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/oauth2/authorize", "/oauth2/consent", "/device", "/login", "/account/apps"])
async def test_nobody_else_may_call_what_people_see(world: World, path: str) -> None:
    headers = {"Origin": "https://spa.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in (await world.http.options(path, headers=headers)).headers
    page = await world.http.get(path, headers={"Origin": "https://spa.example", "Cookie": world.cookie})
    assert "access-control-allow-origin" not in page.headers
