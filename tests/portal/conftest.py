"""The portal over real servers: in process for rules, on a port for real browsers, with a real receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services
from tests.fixtures.factories import Tenant
from tests.fixtures.hooks import engine, receiver, settings
from tests.fixtures.services import services, stranger, tenant
from tests.portal.world import Portal

__all__ = ["engine", "receiver", "services", "settings", "stranger", "tenant"]


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
