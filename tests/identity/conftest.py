"""The pages over real servers: in process for rules, on a port for real browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.provision import prepare_mail
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import AuthSettings, DatabaseSettings, StackSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.system_mail.service import LOCAL_SENDER
from tests.fixtures.factories import Tenant, make_tenant
from tests.identity.people import Person, Surfer, make_person

Open = Callable[[], Awaitable[Surfer]]


@pytest.fixture
def settings() -> Settings:
    """Password hashes at the least cost there is: 0.02 ms."""
    return Settings(
        stack=StackSettings(system_mail_from=LOCAL_SENDER),
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=4),
        auth=AuthSettings(argon2_memory=8, argon2_time=1),
    )


@pytest.fixture
async def services(
    database: Database, redis: Redis, stack: EmbeddedStack, settings: Settings
) -> AsyncIterator[Services]:
    services = await open_services(stack.database_url, stack.redis_url, settings, box=SecretBox([b"k" * 32]))
    await prepare_mail(services)
    try:
        yield services
    finally:
        await services.close()


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


@pytest.fixture
async def ada(services: Services, tenant: Tenant) -> Person:
    """The owner of `tenant`."""
    return await make_person(services, organization_id=tenant.id)


@pytest.fixture
async def open_browser(services: Services) -> AsyncIterator[Open]:
    """``await open_browser()``: another browser without cookies."""
    gateway = create_gateway(services)
    async with AsyncExitStack() as exits:

        async def opened() -> Surfer:
            surfer = Surfer(gateway)
            exits.push_async_callback(surfer.close)
            return surfer

        yield opened


@pytest.fixture
async def surfer(open_browser: Open) -> Surfer:
    return await open_browser()


@pytest.fixture
async def site(services: Services) -> AsyncIterator[str]:
    """The pages on a real port; the URL is of `localhost`, which passkeys need."""
    server = ApiServer(create_gateway(services), "127.0.0.1", 0)
    server.bind()
    services.serve_at(server.url)
    await server.start()
    try:
        yield services.public.base
    finally:
        await server.stop()
