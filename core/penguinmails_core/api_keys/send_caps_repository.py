"""SQL of daily send caps. As `ingest`: it counts where mail is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

# One statement is one transaction: it counts all of it or nothing, and waits for others who count for the same key.
_SPEND = """
insert into api_key_sends as s (organization_id, api_key_id, day, sends, cap)
select $1, w.api_key_id, $4, $5, w.cap from unnest($2::uuid[], $3::int[]) as w (api_key_id, cap)
where $5 <= w.cap order by w.api_key_id
on conflict (organization_id, api_key_id, day) do update set sends = s.sends + excluded.sends, cap = excluded.cap
where s.sends + excluded.sends <= excluded.cap
returning api_key_id"""

_GIVE_BACK = """
update api_key_sends set sends = greatest(sends - $4, 0)
where organization_id = $1 and api_key_id = any ($2) and day = $3"""

_SENT = "select api_key_id, sends from api_key_sends where organization_id = $1 and api_key_id = any ($2) and day = $3"


class _DoesNotFitError(Exception):
    pass


async def spend(ingest: Pool, organization_id: UUID, limits: Mapping[UUID, int], day: date, count: int) -> bool:
    """Count `count` sends for every one of the keys, or for none: False when one of their caps would be passed."""
    async with ingest.acquire() as connection:
        if len(limits) == 1:
            return await _spend(connection, organization_id, limits, day, count)
        try:
            async with connection.transaction():  # a derived key counts for its ancestors too
                if not await _spend(connection, organization_id, limits, day, count):
                    raise _DoesNotFitError
        except _DoesNotFitError:
            return False
        return True


async def _spend(
    connection: Connection, organization_id: UUID, limits: Mapping[UUID, int], day: date, count: int
) -> bool:
    keys = sorted(limits)
    rows = await connection.fetch(_SPEND, organization_id, keys, [limits[key] for key in keys], day, count)
    return len(rows) == len(limits)


async def give_back(ingest: Pool, organization_id: UUID, keys: Sequence[UUID], day: date, count: int) -> None:
    await ingest.execute(_GIVE_BACK, organization_id, list(keys), day, count)


async def sent(ingest: Pool, organization_id: UUID, keys: Sequence[UUID], day: date) -> dict[UUID, int]:
    """Recipients mailed on a day by each key that mailed any."""
    rows = await ingest.fetch(_SENT, organization_id, list(keys), day)
    return {row["api_key_id"]: row["sends"] for row in rows}
