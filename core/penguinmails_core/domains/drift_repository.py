"""SQL of the watch over verified domains."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool


async def claim(pool: Pool, every: timedelta, limit: int) -> list[Any]:
    """Verified domains whose look is due, with (selector, algorithm, TXT value) of their active keys; their next one is
    moved ahead, spread over a tenth so that domains that were added together do not stay together."""
    rows = await pool.fetch(
        """
        with due as materialized (
          select organization_id, id from domains
          where status = 'verified' and next_look_at <= now()
          order by next_look_at limit $2 for update skip locked
        ), moved as (
          update domains d set next_look_at = now() + $1::interval * (0.95 + random() * 0.1) from due
          where (d.organization_id, d.id) = (due.organization_id, due.id)
          returning d.organization_id, d.id, d.name
        )
        select m.organization_id, m.id, m.name,
          array(select array[k.selector, k.algorithm, k.public_key] from domain_keys k
            where (k.organization_id, k.domain_id) = (m.organization_id, m.id) and k.active) as keys
        from moved m
        """,
        every,
        limit,
    )
    return [row for row in rows if row["keys"]]


async def lock(connection: Connection, organization_id: UUID, domain_id: UUID) -> Any | None:
    return await connection.fetchrow(
        """
        select organization_id, workspace_id, id, name, observed, failing_since, event_sequence, now() as now
        from domains where organization_id = $1 and id = $2 and status = 'verified' for update
        """,
        organization_id,
        domain_id,
    )


async def save(
    connection: Connection,
    row: Any,
    observed: dict[str, Any],
    failing_since: datetime | None,
    status: str,
    *,
    told: bool,
) -> None:
    await connection.execute(
        """
        update domains set observed = $3, failing_since = $4, status = $5, checked_at = now(),
          verified_at = case when $5 = 'verified' then verified_at end,
          updated_at = case when $6 then now() else updated_at end,
          event_sequence = event_sequence + $6::int
        where organization_id = $1 and id = $2
        """,
        row["organization_id"],
        row["id"],
        observed,
        failing_since,
        status,
        told,
    )
