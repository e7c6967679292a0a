"""Identity providers of our own making that may lie, and connections to them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.models import SsoConnection, SsoDomain
from penguinmails_core.sso.service import secret_context

CLIENT_ID, CLIENT_SECRET = "penguinmails", "a secret: with %"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "one"})


async def connect(
    services: Services,
    organization_id: UUID,
    *,
    protocol: str = "oidc",
    domain: str = "example.com",
    proven: bool = True,
    secret: str | None = CLIENT_SECRET,
    **columns: Any,
) -> str:
    """A connection as it is after `verify`; returns its id."""
    assert services.box is not None
    connection_id = new_uuid()
    if protocol == "oidc":
        columns.setdefault("client_id", CLIENT_ID)
        if secret is not None:
            columns["client_secret"] = services.box.seal(secret.encode(), secret_context(connection_id))
    async with services.database.tenant(organization_id) as session:
        session.add(
            SsoConnection(
                organization_id=organization_id,
                id=connection_id,
                protocol=protocol,
                **{"name": "Acme ID", "issuer": "urn:idp", **columns},
            )
        )
        await session.flush()
        session.add(
            SsoDomain(
                organization_id=organization_id,
                id=new_uuid(),
                connection_id=connection_id,
                name=domain,
                token="t",
                verified_at=utcnow() if proven else None,
            )
        )
    return ids.encode(Prefix.SSO_CONNECTION, connection_id)


@dataclass
class Liar:
    """An OpenID provider on a real port. It signs everybody in at once, and says what the test wants it to say:
    `claims` replace those of the ID token (None removes), `metadata` those of discovery."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    key: Any = field(default_factory=lambda: KEY)
    published: list[Any] = field(default_factory=lambda: [KEY])
    userinfo: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    raw_token: str | None = None
    asked: dict[str, str] = field(default_factory=dict)
    exchanged: dict[str, str] = field(default_factory=dict)
    authorization: str = ""
    read: int = 0

    def mint(self, **claims: Any) -> str:
        now = int(time.time())
        all_claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "ada",
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked.get("nonce"),
            "email": "ada@example.com",
            "email_verified": True,
            "name": "Ada Lovelace",
            **claims,
            **self.claims,
        }
        present = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(self.header, present, self.key, algorithms=[self.header["alg"]])

    async def discovery(self, _: web.Request) -> web.Response:
        self.read += 1
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **self.metadata,
        }
        return web.json_response({name: value for name, value in document.items() if value is not None})

    async def jwks(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet(self.published).as_dict(private=False))

    async def authorize(self, request: web.Request) -> web.Response:
        raise web.HTTPSeeOther(self.authorized(str(request.url)))

    def authorized(self, url: str) -> str:
        """Where the browser goes back to."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        answer = {"code": "code", "state": self.asked["state"], **self.answer}
        sent = {name: value for name, value in answer.items() if value is not None}
        return f"{self.asked['redirect_uri']}?{urlencode(sent)}"

    async def token(self, request: web.Request) -> web.Response:
        self.exchanged = {name: str(value) for name, value in (await request.post()).items()}
        self.authorization = request.headers.get("Authorization", "")
        token = self.raw_token if self.raw_token is not None else self.mint()
        return web.json_response({"access_token": "at", "token_type": "Bearer", "id_token": token})

    async def info(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer at"
        return web.json_response({"sub": "ada", **self.userinfo})

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Liar]:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/jwks", self.jwks)
        app.router.add_get("/authorize", self.authorize)
        app.router.add_post("/token", self.token)
        app.router.add_get("/userinfo", self.info)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.issuer = f"http://localhost:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()


__all__ = ["CLIENT_ID", "CLIENT_SECRET", "FOREIGN", "KEY", "Liar", "connect"]
