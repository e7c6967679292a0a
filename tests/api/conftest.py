"""The API over real servers, called through its gateway in process."""

from __future__ import annotations

import pytest

from penguinmails_api.services import Settings
from penguinmails_core.config import DatabaseSettings
from penguinmails_core.kit.db import Database
from tests.api.things import make_things
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant
from tests.fixtures.services import client, services, stranger, tenant

__all__ = ["client", "services", "stranger", "tenant"]


@pytest.fixture
def settings() -> Settings:
    """Override it in a test module to try other limits."""
    return Settings(database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2))


@pytest.fixture
async def things(client: ApiClient, database: Database, tenant: Tenant) -> dict[str, str]:
    """One of each kind, all of `tenant` in live mode, by the name of the path parameter."""
    return await make_things(client, database, tenant)
