from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_core.kit.db import Database
from tests.sender.engine.world import World, open_world


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with open_world(database) as world:
        yield world
