from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_core.kit.db import Database
from tests.sender.engine.world import open_world
from tests.sender.intake.world import Desk


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with open_world(database) as world:
        desk = Desk(world)
        async with desk.door:
            yield desk
