"""The pages of tests/identity, with identity providers on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penguinmails_api.services import Settings
from penguinmails_core.config import AuthSettings, DatabaseSettings, StackSettings
from penguinmails_core.system_mail.service import LOCAL_SENDER
from tests.identity.sso.world import Liar


@pytest.fixture
def settings() -> Settings:
    return Settings(
        stack=StackSettings(system_mail_from=LOCAL_SENDER),
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=4),
        auth=AuthSettings(argon2_memory=8, argon2_time=1, sso_allow_private=True),
    )


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    async with Liar().serve() as provider:
        yield provider
