"""Waiting for a database that is not there yet: processes start in any order, and servers restart."""

from __future__ import annotations

import asyncio
import logging
import time

import asyncpg

from penguinmails_core.config import ConfigError

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
_LONGEST_PAUSE = 2.0


async def database_reachable(url: str, *, seconds: float = PATIENCE_SECONDS, name: str = "DATABASE_URL") -> None:
    """Return when the database answers. Raises `ConfigError` when it refuses us, or stays away for `seconds`.

    `name` is the setting that the message blames.
    """
    deadline = time.monotonic() + seconds
    pause = 0.1
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
            if time.monotonic() > deadline:
                raise ConfigError(f"the database at {name} is away: {str(error) or type(error).__name__}") from None
            if pause == 0.1:
                log.warning("the database is away; waiting for it")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        except (asyncpg.PostgresError, ValueError) as error:
            raise ConfigError(f"{name} cannot be used: {error}") from None
        else:
            await connection.close()
            return
