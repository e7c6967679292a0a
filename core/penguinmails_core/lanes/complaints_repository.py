"""SQL of complaints in lanes. Role `worker`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection


async def count(connection: Connection, rows: Sequence[tuple[UUID, str, str, int]]) -> list[UUID]:
    """(organization, source, group, complaints) to be added to today's; returns the lanes. What is in no lane (mail of
    before there were lanes) is left out."""
    found = await connection.fetch(
        """
        with t as materialized (
          select t.organization_id, l.id as lane_id, t.complaints
          from unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) as t (organization_id, source, provider_group,
            complaints)
          join lanes l using (source, provider_group)
        ),
        written as (
          insert into lane_days (organization_id, lane_id, day, complained)
          select organization_id, lane_id, (now() at time zone 'UTC')::date, complaints from t
          order by organization_id, lane_id
          on conflict (organization_id, lane_id, day) do update set
            complained = lane_days.complained + excluded.complained
        )
        select distinct lane_id from t order by lane_id
        """,
        *map(list, zip(*sorted(rows), strict=True)),
    )
    return [row["lane_id"] for row in found]


async def totals(connection: Connection, lane_id: UUID) -> tuple[int, int]:
    """(sent, complained) of everybody, today and yesterday: complaints come hours after the mail."""
    row: Any = await connection.fetchrow(
        """
        select coalesce(sum(sent), 0)::int as sent, coalesce(sum(complained), 0)::int as complained from lane_days
        where lane_id = $1 and day >= (now() at time zone 'UTC')::date - 1
        """,
        lane_id,
    )
    return row["sent"], row["complained"]


async def pause(connection: Connection, lane_id: UUID, seconds: timedelta, rule: str) -> Any:
    """`until` and the organization-free row of a lane that was not paused; None when it is paused already, or was by
    the same rule within the last day: what is complained about now left before that."""
    return await connection.fetchrow(
        """
        update lanes set paused_until = now() + $2::interval, pause_rule = $3, pause_reason = 'complaint',
          updated_at = clock_timestamp()
        where id = $1 and (paused_until is null or paused_until <= now())
          and not exists (select from lane_decisions d where d.lane_id = $1 and d.rule = $3 and d.action = 'pause'
            and d.at > now() - interval '1 day')
        returning paused_until, now() as now
        """,
        lane_id,
        seconds,
        rule,
    )
