"""Receivers on loopback and a hand on the engine."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import orjson
from aiohttp import web
from svix.webhooks import Webhook

from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_webhooks.endpoints import webhook_endpoints
from penguinmails_webhooks.engine import WebhookEngine
from tests.fixtures.factories import Tenant, make_event

BOX = SecretBox([b"k" * 32])
Answer = Callable[["Received"], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = orjson.loads(self.body)
        return event

    def verify(self, secret: str) -> None:
        """Raises when another's implementation of Standard Webhooks does not accept the request."""
        Webhook(secret).verify(self.body, dict(self.headers))


async def ok(_: Received) -> web.Response:
    return web.Response(status=204)


def answer(status: int, *, text: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    async def respond(_: Received) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return respond


@dataclass
class Receiver:
    """A web server that remembers what it got; `answers` by path (default 204)."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    got: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def listen_securely(self, context: ssl.SSLContext) -> int:
        """Takes requests over TLS, too; returns that port."""
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        port: int = self._runner.addresses[-1][1]
        return port

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [request for request in self.requests if request.path == path]

    def ids(self, path: str = "/hook") -> Counter[str]:
        return Counter(request.id for request in self.at(path))

    async def until(self, condition: Callable[[Receiver], bool]) -> None:
        """Waits for what must happen; the test's own time-out is the limit."""
        async with self.got:
            await self.got.wait_for(lambda: condition(self))

    async def _handle(self, request: web.Request) -> web.Response:
        received = Received(request.path, dict(request.headers), await request.read())
        lower = {name.lower(): value for name, value in received.headers.items()}
        received = Received(received.path, lower, received.body)
        async with self.got:
            self.requests.append(received)
            self.got.notify_all()
        return await self.answers.get(request.path, ok)(received)


@dataclass
class World:
    database: Database
    tenant: Tenant
    doorbell: Doorbell
    engines: list[WebhookEngine] = field(default_factory=list)

    def engine(self, *, timeout: float = 5.0, allow_private: bool = True, **options: Any) -> WebhookEngine:
        http = options.pop("http", None)
        settings = WebhookSettings(timeout=timeout, allow_private=allow_private, **options)
        engine = WebhookEngine(self.database, BOX, self.doorbell, settings, http, rng=random.Random(1))
        self.engines.append(engine)
        return engine

    async def endpoint(
        self, url: str, events: tuple[str, ...] = ("*",), *, principal: Principal | None = None, **settings: Any
    ) -> tuple[WebhookEndpoint, str]:
        service = webhook_endpoints(BOX, WebhookSettings(allow_private=True))
        principal = principal or self.tenant.principal()
        async with self.database.tenant(principal.organization_id) as session:
            endpoint, secret = await service.create(session, principal, url=url, events=events, **settings)
        # The news of it would reach the others, and tests count what these get.
        await self.database.worker.execute("delete from events where type = 'webhook_endpoint.created'")
        await self.database.worker.execute("update webhook_endpoints set event_sequence = 0 where id = $1", endpoint.id)
        return endpoint, secret or ""

    async def happen(
        self, count: int = 1, *, tenant: Tenant | None = None, data: dict[str, Any] | None = None, **options: Any
    ) -> list[UUID]:
        """So many events in one transaction."""
        tenant = tenant or self.tenant
        workspace_id = options.pop("workspace_id", tenant.workspace_id)
        async with self.database.worker.acquire() as connection, connection.transaction():
            return [
                await make_event(connection, tenant.id, workspace_id, new_uuid(), data or {"number": number}, **options)
                for number in range(count)
            ]

    async def deliveries(self, endpoint: WebhookEndpoint | None = None) -> list[Any]:
        rows = await self.database.worker.fetch("select * from webhook_deliveries order by event_id")
        return [row for row in rows if endpoint is None or row["endpoint_id"] == endpoint.id]

    async def attempts(self) -> list[Any]:
        return list(await self.database.worker.fetch("select * from webhook_attempts order by number, id"))

    async def hurry(self) -> None:
        """Whatever waits, for a retry, for the end of a lease or for an open circuit, is due now."""
        await self.database.worker.execute("update webhook_deliveries set due_at = now() where due_at is not null")
        await self.database.worker.execute("update webhook_endpoints set breaker_until = now(), throttle_at = now()")

    async def close(self) -> None:
        for engine in self.engines:
            await engine.stop(grace=0)
