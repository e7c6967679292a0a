"""The OAuth server over real servers, called through the gateway in process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.gateway import Gateway
from penguinmails_api.services import Services
from tests.api.conftest import client, services, settings, stranger, tenant
from tests.oauth.world import World

__all__ = ["client", "services", "settings", "stranger", "tenant"]


@pytest.fixture
def gateway(services: Services) -> Gateway:
    return create_gateway(services)


@pytest.fixture
async def world(services: Services, gateway: Gateway) -> AsyncIterator[World]:
    """An organization with an owner who is signed in, and a client that speaks HTTP to the endpoints."""
    world = await World.make(services, gateway)
    try:
        yield world
    finally:
        await world.close()
