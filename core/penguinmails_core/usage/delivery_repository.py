"""SQL of delivery outcomes by hour, and of what is concluded from them. As `worker`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Connection, Pool

NAME = "deliveries"  # of the roll-up in `usage_rollups`
_DELIVERED = [EventType.EMAIL_DELIVERED.value, EventType.EMAIL_SENT.value]
_BOUNCED, _COMPLAINED = EventType.EMAIL_BOUNCED.value, EventType.EMAIL_COMPLAINED.value

_ROLL_UP = """
insert into delivery_hours (organization_id, hour, delivered, bounced, complained)
select organization_id, date_trunc('hour', created_at, 'UTC'),
  count(*) filter (where type = any ($2::text[])), count(*) filter (where type = $3),
  count(*) filter (where type = $4)
from events
where created_at >= $1 and mode = 'live' and (type = any ($2::text[]) or type = $3 or type = $4)
group by 1, 2 order by 1, 2
on conflict (organization_id, hour) do update set
  delivered = excluded.delivered, bounced = excluded.bounced, complained = excluded.complained"""

_TOTALS = """
select organization_id, sum(delivered)::bigint as delivered, sum(bounced)::bigint as bounced,
  sum(complained)::bigint as complained
from delivery_hours where hour > $1 group by organization_id"""

# The usual volume: the busiest day of the last week.
_REFERENCE = """
select organization_id, max(sends)::bigint as sends from (
  select organization_id, date_trunc('day', hour, 'UTC'), sum(delivered + bounced) as sends
  from delivery_hours where hour > $1 group by 1, 2) d
group by organization_id"""


async def roll_up(connection: Connection, since: datetime) -> None:
    await connection.execute(_ROLL_UP, since, _DELIVERED, _BOUNCED, _COMPLAINED)


async def totals(connection: Connection, since: datetime) -> dict[UUID, Mapping[str, int]]:
    """`delivered`, `bounced` and `complained` of every organization that sent since then."""
    return {row["organization_id"]: row for row in await connection.fetch(_TOTALS, since)}


async def busiest_days(connection: Connection, since: datetime) -> dict[UUID, int]:
    return {row["organization_id"]: row["sends"] for row in await connection.fetch(_REFERENCE, since)}


async def rules(connection: Connection) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = await connection.fetch(
        "select metric, window_hours, rate::float8 as rate, min_sample, min_count, factor::float8 as factor "
        "from reputation_rules order by factor"
    )
    return found


async def reputations(connection: Connection) -> dict[UUID, Mapping[str, Any]]:
    """Those that are held back now, locked: one process at a time decides."""
    await connection.execute("select pg_advisory_xact_lock(7275446122)")
    rows = await connection.fetch(
        "select organization_id, factor::float8 as factor, reason, changed_at from sending_reputations"
    )
    return {row["organization_id"]: row for row in rows}


async def save(
    connection: Connection,
    organization_id: UUID,
    factor: float,
    wanted: float,
    reason: str | None,
    reference: int,
    now: datetime,
) -> None:
    """`changed_at` moves when the factor does."""
    await connection.execute(
        """
        insert into sending_reputations as r
          (organization_id, factor, wanted, reason, reference_per_day, changed_at, checked_at)
        values ($1, $2::float8::numeric, $3::float8::numeric, $4, $5, $6, $6)
        on conflict (organization_id) do update set
          changed_at = case when r.factor = excluded.factor then r.changed_at else excluded.changed_at end,
          factor = excluded.factor, wanted = excluded.wanted, reason = excluded.reason,
          reference_per_day = excluded.reference_per_day, checked_at = excluded.checked_at""",
        organization_id,
        factor,
        wanted,
        reason,
        reference,
        now,
    )


async def forget(worker: Pool, before: datetime) -> None:
    await worker.execute("delete from delivery_hours where hour < $1", before)
