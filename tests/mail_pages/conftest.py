"""The pages behind links in mail: in process for rules, on a port for real browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services
from tests.fixtures.factories import Tenant
from tests.fixtures.hooks import settings
from tests.fixtures.services import services, stranger, tenant
from tests.mail_pages.world import Mail

__all__ = ["services", "settings", "stranger", "tenant"]


@pytest.fixture
async def mail(services: Services, tenant: Tenant) -> AsyncIterator[Mail]:
    async with Mail(services, create_gateway(services), tenant) as mail:
        yield mail


@pytest.fixture
async def site(services: Services) -> AsyncIterator[str]:
    """On a real port, as `localhost`."""
    server = ApiServer(create_gateway(services), "127.0.0.1", 0)
    server.bind()
    services.serve_at(server.url)
    await server.start()
    try:
        yield services.public.base
    finally:
        await server.stop()
