from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from tests.fixtures.factories import make_tenant
from tests.fixtures.hooks import receiver
from tests.webhooks.engine.world import World

__all__ = ["receiver"]


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    doorbell = Doorbell()
    world = World(database, await make_tenant(database), doorbell)
    try:
        yield world
    finally:
        await world.close()
        await doorbell.stop()
