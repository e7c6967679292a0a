"""SQL of warm-ups. Role `worker`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool


async def start(
    connection: Connection,
    warmup_id: UUID,
    source: str,
    group: str,
    *,
    schedule: str,
    target: int,
    cap: int,
    today: date,
) -> None:
    """A new one, or the same one from its beginning. The first day is today, so it is judged tomorrow."""
    await connection.execute(
        """
        insert into warmups (id, source, provider_group, schedule, target, cap, last_day, reason)
        values ($1, $2, $3, $4, $5, $6, $7, 'started')
        on conflict (source, domain, provider_group) do update set schedule = excluded.schedule,
          target = excluded.target, cap = excluded.cap, last_day = excluded.last_day, reason = 'started',
          state = 'growing', step = 0, good_days = 0, bad_days = 0, updated_at = now()
        """,
        warmup_id,
        source,
        group,
        schedule,
        target,
        cap,
        today,
    )


async def end(connection: Connection, source: str, group: str) -> bool:
    """Forget one; returns whether there was one."""
    status: str = await connection.execute(
        "delete from warmups where source = $1 and provider_group = $2 and domain = ''", source, group
    )
    return not status.endswith(" 0")


async def list_all(pool: Pool) -> list[Any]:
    return list(await pool.fetch("select * from warmups order by source, provider_group"))


async def due(connection: Connection, today: date) -> list[Any]:
    """Those whose last day is over, locked, with their lane and the answers of the days since. What another process has
    in hand is left to it. `idle`: days since mail last left, None when none ever did."""
    return list(
        await connection.fetch(
            """
            with w as materialized (
              select * from warmups where domain = '' and last_day < $1 order by id for update skip locked
            )
            select w.*, l.id as lane_id, d.*
            from w join lanes l on l.source = w.source and l.provider_group = w.provider_group
            cross join lateral (
              select coalesce(sum(sent), 0)::int as sent, coalesce(sum(deferred), 0)::int as deferred,
                coalesce(sum(bounced), 0)::int as bounced, coalesce(sum(blocked), 0)::int as blocked,
                coalesce(sum(complained), 0)::int as complained,
                (select $1 - max(day) from lane_days a where a.lane_id = l.id and a.sent > 0) as idle
              from lane_days where lane_id = l.id and day >= w.last_day and day < $1
            ) d
            """,
            today,
        )
    )


async def write(connection: Connection, row: Mapping[str, Any]) -> None:
    await connection.execute(
        """
        update warmups set state = $2, step = $3, cap = $4, reason = $5, bad_days = $6, last_day = $7,
          updated_at = now()
        where id = $1
        """,
        row["id"],
        row["state"],
        row["step"],
        row["cap"],
        row["reason"],
        row["bad_days"],
        row["last_day"],
    )


async def cap_lane(connection: Connection, lane_id: UUID, cap: int | None, reason: str | None) -> None:
    """None: no cap any more. What was sent today counts already."""
    await connection.execute(
        "update lanes set daily_cap = $2, cap_reason = $3, updated_at = clock_timestamp() where id = $1",
        lane_id,
        cap,
        reason,
    )
