"""SCIM over a connection of `tenant` that has proven example.com."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services
from tests.fixtures.factories import Tenant
from tests.identity.scim.world import BASE, make_token
from tests.identity.sso.world import connect


@pytest.fixture
async def connection(services: Services, tenant: Tenant) -> str:
    return await connect(services, tenant.id, group_roles={"Engineering": "developer", "Auditors": "viewer"})


@pytest.fixture
async def token(services: Services, tenant: Tenant, connection: str) -> str:
    return await make_token(services, tenant.id, connection)


@pytest.fixture
async def scim(services: Services, token: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_gateway(services), client=("192.0.2.9", 40000))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client
