"""What the tests of the OAuth server share: apps, a person in a browser, and the flows in as few words as possible."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx

from penguinmails_api.gateway import Gateway
from penguinmails_api.identity.browser import cookie_name
from penguinmails_api.services import Services
from penguinmails_core.identity.accounts import create_person
from penguinmails_core.identity.sessions import Browser
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import apps
from penguinmails_core.oauth.records import CLIENT_GRANT, CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import scopes_of
from tests.fixtures.factories import Tenant, make_tenant

REDIRECT = "https://app.example/cb"
ALL_GRANTS = [CODE_GRANT, REFRESH_GRANT, CLIENT_GRANT, DEVICE_GRANT]


@dataclass(frozen=True, slots=True)
class TestApp:
    __test__ = False

    id: UUID
    secret: str | None

    @property
    def client_id(self) -> str:
        return ids.encode(Prefix.OAUTH_APP, self.id)

    @property
    def auth(self) -> dict[str, str]:
        """As client_secret_post, or none."""
        return {"client_id": self.client_id} | ({"client_secret": self.secret} if self.secret else {})

    @property
    def basic(self) -> dict[str, str]:
        pair = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


@dataclass(slots=True)
class Flow:
    """One authorization request as a client remembers it."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(8))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class World:
    def __init__(self, services: Services, gateway: Gateway, tenant: Tenant, user_id: UUID, cookie: str) -> None:
        self.services = services
        self.tenant = tenant
        self.user_id = user_id
        self.issuer = services.public.base
        self.cookie = cookie
        transport = httpx.ASGITransport(gateway, client=("192.0.2.7", 40000))
        self.http = httpx.AsyncClient(transport=transport, base_url=self.issuer)

    @classmethod
    async def make(cls, services: Services, gateway: Gateway, role: str = "owner") -> World:
        tenant = await make_tenant(services.database)
        user_id, _ = await create_person(
            services.database, "ada@example.com", name="Ada Lovelace", organization_id=tenant.id, role=role
        )
        signed = await services.identity.start_session(user_id, ["pwd"], Browser("192.0.2.7", "Firefox"))
        return cls(services, gateway, tenant, user_id, f"{cookie_name(services.public)}={signed.token}")

    @property
    def owner(self) -> Principal:
        """The person in the browser, as the API sees them."""
        return owner_of(self.tenant, self.user_id)

    async def close(self) -> None:
        await self.http.aclose()

    async def app(self, **values: Any) -> TestApp:
        wanted: dict[str, Any] = {
            "name": "Billing sync",
            "confidential": True,
            "redirect_uris": [REDIRECT],
            "grant_types": ALL_GRANTS,
            "scopes": ["emails:read", "emails:write", "domains:read", "openid", "email", "profile"],
        } | values
        if not wanted["confidential"]:
            wanted["grant_types"] = [name for name in wanted["grant_types"] if name != CLIENT_GRANT]
        async with self.services.database.tenant(self.tenant.id) as session:
            app, secret = await apps.create(session, self.tenant.principal(), wanted)
        return TestApp(app.id, secret)

    async def post(
        self, name: str, fields: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """To an endpoint that clients call."""
        return await self.http.post(f"/oauth2/{name}", data=fields or {}, headers=headers)

    async def client_token(self, app: TestApp, **fields: Any) -> dict[str, Any]:
        answer = await self.post("token", {"grant_type": "client_credentials"} | app.auth | fields)
        assert answer.status_code == 200, answer.text
        token: dict[str, Any] = answer.json()
        return token

    async def call(self, token: str, path: str = "/v1/emails") -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {token}"})

    # ---- the person in a browser

    async def browse(self, path: str, cookie: str | None = None) -> httpx.Response:
        return await self.http.get(path, headers={"Cookie": cookie or self.cookie})

    def authorize_url(self, app: TestApp, flow: Flow, **more: str | None) -> str:
        parameters = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": REDIRECT,
            "scope": "emails:read",
            "state": flow.state,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        } | more
        return "/oauth2/authorize?" + urlencode({name: text for name, text in parameters.items() if text is not None})

    async def decide(
        self, page: httpx.Response, decision: str = "allow", cookie: str | None = None, **fields: str
    ) -> httpx.Response:
        """Presses a button of the consent page."""
        assert page.status_code == 200, page.text
        return await self.http.post(
            "/oauth2/consent",
            data=self.fields(page) | {"decision": decision} | fields,
            headers={"Cookie": cookie or self.cookie},
        )

    @staticmethod
    def fields(page: httpx.Response) -> dict[str, str]:
        """What a browser would send of the form: hidden fields, and the first choice of each list."""
        found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        for name, options in re.findall(r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', page.text, re.DOTALL):
            chosen = re.search(r'<option value="([^"]*)" selected', options) or re.search(
                r'<option value="([^"]*)"', options
            )
            assert chosen is not None
            found[name] = chosen[1]
        return found

    async def code(self, app: TestApp, flow: Flow, **more: str | None) -> str:
        """The whole of the front channel."""
        answer = await self.decide(await self.browse(self.authorize_url(app, flow, **more)))
        returned = answered(answer)
        assert returned["state"] == flow.state, returned
        assert returned["iss"] == self.issuer
        return returned["code"]

    async def exchange(self, app: TestApp, flow: Flow, code: str, **more: str) -> httpx.Response:
        fields = {"grant_type": CODE_GRANT, "code": code, "code_verifier": flow.verifier, "redirect_uri": REDIRECT}
        return await self.post("token", fields | app.auth | more)

    async def tokens(self, app: TestApp, **more: str | None) -> dict[str, Any]:
        flow = Flow()
        answer = await self.exchange(app, flow, await self.code(app, flow, **more))
        assert answer.status_code == 200, answer.text
        token: dict[str, Any] = answer.json()
        return token

    async def refresh(self, app: TestApp, token: str, **more: str) -> httpx.Response:
        return await self.post("token", {"grant_type": REFRESH_GRANT, "refresh_token": token} | app.auth | more)


def owner_of(tenant: Tenant, user_id: UUID) -> Principal:
    place, scopes = tenant.workspace_id, scopes_of("owner")
    return Principal(user_id, tenant.id, None, place, "live", scopes, PrincipalKind.SESSION, user_id)


def answered(response: httpx.Response) -> dict[str, str]:
    """The parameters of a redirect to the client."""
    assert response.status_code == 303, response.text
    query = parse_qs(urlsplit(response.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


def refusal(response: httpx.Response, status: int, error: str) -> dict[str, Any]:
    """The error, after checking that it is one of RFC 6749."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    body: dict[str, Any] = response.json()
    assert body["error"] == error, body
    assert set(body) == {"error", "error_description"}
    return body
