"""Links, visitors without a browser, and things to look at."""

from __future__ import annotations

import re
from typing import Any, Self

import httpx

from penguinmails_api.gateway import Gateway
from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import new_uuid
from penguinmails_webhooks.endpoints import webhook_endpoints
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant, make_event

CONSUMER = "customer_42"
URL = "https://hooks.example.com/in"


class Portal:
    """`key` is the organization's own access; `visit` is a browser of its customer."""

    def __init__(self, services: Services, gateway: Gateway, tenant: Tenant) -> None:
        self.services = services
        self.tenant = tenant
        self.api = ApiClient(gateway, tenant.key)
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://localhost")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self.api.__aexit__(None, None, None)

    async def link(self, key: str | None = None, **members: Any) -> dict[str, Any]:
        client = self.api if key is None else self.api.as_(key)
        response = await client.post("/v1/webhook_portal/links", json={"consumer": CONSUMER, **members})
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def visit(self, link: dict[str, Any] | None = None, **members: Any) -> Visit:
        """Follow a link."""
        link = link or await self.link(**members)
        answer = await self.get(path_of(link["url"]))
        assert answer.status_code == 303, answer.text
        return Visit(self, answer.headers["location"], link)

    async def get(self, path: str) -> httpx.Response:
        return await self._http.get(path)

    async def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        headers = headers or {"Content-Type": "application/x-www-form-urlencoded"}
        body = httpx.QueryParams(fields or {}).__str__()
        return await self._http.post(path, content=body, headers=headers)

    async def endpoint(self, url: str = URL, *, consumer: str | None = CONSUMER, tenant: Tenant | None = None) -> str:
        """Made by the organization for its customer; its id."""
        assert self.services.box is not None
        service = webhook_endpoints(self.services.box, self.services.settings.webhooks)
        owner = tenant or self.tenant
        async with self.services.database.tenant(owner.id) as session:
            row, _ = await service.create(session, owner.principal(), url=url, events=["email.*"], consumer=consumer)
        return ids.encode("whe", row.id)

    async def happen(self, count: int = 1, type_: str = "email.delivered") -> None:
        async with self.services.database.worker.acquire() as connection, connection.transaction():
            for number in range(count):
                await make_event(
                    connection, self.tenant.id, self.tenant.workspace_id, new_uuid(), {"number": number}, type_=type_
                )


class Visit:
    """`base` is the path of the session."""

    def __init__(self, portal: Portal, base: str, link: dict[str, Any]) -> None:
        self.portal = portal
        self.base = base
        self.link = link

    async def get(self, path: str = "") -> httpx.Response:
        return await self.portal.get(self.base + path)

    async def post(self, path: str, fields: dict[str, Any] | None = None) -> httpx.Response:
        return await self.portal.post(self.base + path, fields)

    async def add(self, url: str = URL, *events: str) -> str:
        """Add an endpoint by the form; its id."""
        page = await self.post("/endpoints/new", {"url": url, "events": list(events) or ["email.*"]})
        assert page.status_code == 200, page.text
        found = re.search(r"/endpoints/(whe_[0-9a-z]{26})", page.text)
        assert found is not None, page.text
        return found[1]


def path_of(url: str) -> str:
    return re.sub(r"^https?://[^/]+", "", url)
