"""Seven days ahead: which keys are about to end. Part of the worker's housekeeping."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from penguinmails_core.api_keys import repository, tell
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Pool

AHEAD = timedelta(days=7)
KEEP_ENDED = timedelta(days=90)


async def notice_expiring(worker: Pool, *, limit: int = 1000) -> int:
    """One `api_key.expiring` for each key that ends within seven days and was meant to live longer than that; returns
    how many. Safe in several processes at once: a key is marked in the transaction that tells of it."""
    async with worker.acquire() as connection, connection.transaction():
        rows = await repository.mark_expiring(connection, AHEAD, limit)
        for row in rows:
            await events.add_on(
                connection,
                organization_id=row["organization_id"],
                workspace_id=row["workspace_id"],
                mode=row["mode"],
                event=EventType.API_KEY_EXPIRING,
                resource_id=row["id"],
                sequence=row["event_sequence"],
                payload=tell.payload(SimpleNamespace(**row)),
            )
    return len(rows)


async def forget_ended(worker: Pool, *, limit: int = 1000) -> int:
    """Delete keys that ended 90 days ago; returns how many."""
    return await repository.forget(worker, KEEP_ENDED, limit)
