"""The library's own bar for storages, and the tester that walks a whole server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_server.testing import AsyncScimStorageContract, BlockingStorage
from scim2_tester import Status, check_server

from penguinmails_api.scim.app import provider as our_provider
from penguinmails_api.scim.storage import CLIENT, DirectoryStorage
from penguinmails_api.services import Services
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import SsoConnection
from penguinmails_core.scim.directory import ScimClient
from tests.fixtures.factories import make_tenant
from tests.fixtures.stack import _clean


class TestStorage(AsyncScimStorageContract):
    """On PostgreSQL, bound to one organization."""

    @pytest.fixture
    def provider(self) -> Any:
        return our_provider()

    @pytest.fixture
    def storage(self, database_url: str) -> Iterator[Any]:
        with asyncio.Runner() as runner:
            database = runner.run(Database.open(database_url, pool_size=2, worker_connections=2))
            try:
                yield BlockingStorage(runner.run(_storage(database)), runner)
            finally:
                runner.run(database.close())
                runner.run(_clean(database_url))


async def _storage(database: Database) -> DirectoryStorage:
    tenant = await make_tenant(database)
    connection_id = new_uuid()
    async with database.tenant(tenant.id) as session:
        session.add(
            SsoConnection(organization_id=tenant.id, id=connection_id, protocol="oidc", name="Acme", issuer="urn:idp")
        )
    CLIENT.set(ScimClient(tenant.id, connection_id, "Acme", "member", {}))

    async def ended(*_: Any) -> None:
        """Nobody is signed in."""

    def changed() -> None:
        """No cache is to be told."""

    return DirectoryStorage(database, our_provider(), ended, changed)


async def test_the_tester_finds_nothing(site: str, services: Services, token: str) -> None:
    def check() -> list[Any]:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=f"{site}/scim/v2", headers=headers) as client:
            return list(check_server(SyncSCIMClient(client)))

    results = await asyncio.to_thread(check)
    bad = [f"{result.title}: {result.reason}" for result in results if result.status in (Status.ERROR, Status.CRITICAL)]
    assert not bad, bad
    assert sum(result.status == Status.SUCCESS for result in results) > 100
