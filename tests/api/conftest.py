"""The API over real servers, called through its gateway in process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import DatabaseSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import StaticResolver
from tests.api.things import make_things
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant, make_tenant


@pytest.fixture
def settings() -> Settings:
    """Override it in a test module to try other limits."""
    return Settings(database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2))


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
async def client(services: Services, tenant: Tenant) -> AsyncIterator[ApiClient]:
    async with ApiClient(create_gateway(services), tenant.key) as client:
        yield client


@pytest.fixture
async def things(client: ApiClient, database: Database, tenant: Tenant) -> dict[str, str]:
    """One of each kind, all of `tenant` in live mode, by the name of the path parameter."""
    return await make_things(client, database, tenant)
