"""The portal over real servers: in process for rules, on a port for real browsers, with a real receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import DatabaseSettings, WebhookSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_webhooks.engine import WebhookEngine
from tests.fixtures.factories import Tenant, make_tenant
from tests.portal.world import Portal
from tests.webhooks.engine.world import Receiver


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=4),
        webhooks=WebhookSettings(allow_private=True, timeout=5),
    )


@pytest.fixture
async def services(
    database: Database, redis: Redis, stack: EmbeddedStack, settings: Settings
) -> AsyncIterator[Services]:
    services = await open_services(
        stack.database_url, stack.redis_url, settings, box=SecretBox([b"k" * 32]), resolver=StaticResolver({})
    )
    try:
        yield services
    finally:
        await services.close()


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


@pytest.fixture
async def stranger(database: Database) -> Tenant:
    """Another organization."""
    return await make_tenant(database, "Umbrella")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def engine(services: Services) -> AsyncIterator[WebhookEngine]:
    assert services.box is not None
    engine = WebhookEngine(services.database, services.box, services.doorbell, services.settings.webhooks)
    try:
        yield engine
    finally:
        await engine.stop(grace=0)


@pytest.fixture
async def portal(services: Services, tenant: Tenant) -> AsyncIterator[Portal]:
    async with Portal(services, create_gateway(services), tenant) as portal:
        yield portal


@pytest.fixture
async def site(services: Services) -> AsyncIterator[str]:
    """The portal on a real port, as `localhost`."""
    server = ApiServer(create_gateway(services), "127.0.0.1", 0)
    server.bind()
    services.serve_at(server.url)
    await server.start()
    try:
        yield services.public.base
    finally:
        await server.stop()
