"""SQL of usage: request counters, and sends counted from the messages themselves.

A send is one message to one recipient. `usage_sends` holds the days that are over; what came later is counted where it
lies, which is a range of the primary key because message ids sort by time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.models import UsageCounter, UsageThreshold
from penguinmails_core.usage.periods import first_id

SENDS = "sends"  # the name of the roll-up in `usage_rollups`

CounterRow = tuple[UUID, date, str, str, UUID, str, int, int, int, int]
"""(organization, day, mode, kind of actor, actor, operation, requests, cost, refused, errors)"""

# Sorted, so that two processes that write the same rows cannot deadlock.
_ADD = """
insert into usage_counters as c
  (organization_id, day, mode, actor_kind, actor_id, operation, requests, cost, refused, errors)
select * from unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::uuid[], $6::text[],
  $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) order by 1, 2, 3, 4, 5, 6
on conflict (organization_id, day, mode, actor_kind, actor_id, operation) do update set
  requests = c.requests + excluded.requests, cost = c.cost + excluded.cost,
  refused = c.refused + excluded.refused, errors = c.errors + excluded.errors"""

_SENDS_BY_MESSAGE = """
select m.organization_id, (m.created_at at time zone 'UTC')::date as day, m.mode, m.api_key_id as actor_id,
  count(*) as messages, sum(r.sends)::bigint as sends
from email_messages m
join (
  select organization_id, message_id, count(*) as sends from email_recipients
  where {condition_r} group by organization_id, message_id
) r on r.organization_id = m.organization_id and r.message_id = m.id
where {condition_m}
group by 1, 2, 3, 4"""

# One organization: days that are rolled up, and what lies after them.
_SENDS = (
    """
select day, mode, actor_id, messages, sends from usage_sends
where organization_id = :organization and day >= :first and day < :last and day < :rolled
union all
select day, mode, actor_id, messages, sends from ("""
    + _SENDS_BY_MESSAGE.format(
        condition_r="organization_id = :organization and message_id >= :since and message_id < :until",
        condition_m="m.organization_id = :organization and m.id >= :since and m.id < :until",
    )
    + ") live"
)
# All organizations, one day.
_ROLL_UP = (
    "insert into usage_sends (organization_id, day, mode, actor_id, messages, sends) "
    "select organization_id, $3::date, mode, actor_id, sum(messages), sum(sends) from ("
    + _SENDS_BY_MESSAGE.format(
        condition_r="message_id >= $1 and message_id < $2", condition_m="m.id >= $1 and m.id < $2"
    )
    + ") d group by 1, 2, 3, 4 "
    "on conflict (organization_id, day, mode, actor_id) do update set "
    "messages = excluded.messages, sends = excluded.sends"
)


async def add_counters(ingest: Pool, rows: Sequence[CounterRow]) -> None:
    """Add to the counters, in one statement."""
    if rows:
        await ingest.execute(_ADD, *(list(column) for column in zip(*rows, strict=True)))


async def sends(
    session: AsyncSession, organization_id: UUID, since: datetime, until: datetime
) -> list[Mapping[str, Any]]:
    """Accepted mail of whole days (UTC): rows of `day`, `mode`, `actor_id` (the credential), `messages`, `sends`."""
    done = await session.scalar(_DONE, {"name": SENDS})
    return [
        dict(row)
        for row in (await session.execute(text(_SENDS), _range(organization_id, since, until, done))).mappings()
    ]


def _range(organization_id: UUID, since: datetime, until: datetime, done: datetime | None) -> dict[str, Any]:
    live = max(since, done) if done is not None else since
    return {
        "organization": organization_id,
        "first": since.date(),
        "last": until.date(),
        "rolled": done.date() if done is not None else date.min,
        "since": first_id(live),
        "until": first_id(max(until, live)),
    }


async def spent(worker: Pool, organization_id: UUID, since: datetime, until: datetime) -> Sequence[Mapping[str, Any]]:
    """As `sends`, as `worker`."""
    values = _range(organization_id, since, until, await done_until(worker, SENDS))
    statement, arguments = _positional(_SENDS, values)
    rows: Sequence[Mapping[str, Any]] = await worker.fetch(statement, *arguments)
    return rows


def _positional(statement: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """`:name` for SQLAlchemy to `$1` for asyncpg."""
    for number, name in enumerate(values, 1):
        statement = re.sub(rf":{name}\b", f"${number}", statement)
    return statement, list(values.values())


_DONE = text("select done_until from usage_rollups where name = :name")


async def done_until(pool: Pool | Connection, name: str) -> datetime | None:
    found: datetime | None = await pool.fetchval("select done_until from usage_rollups where name = $1", name)
    return found


async def first_message_at(worker: Connection) -> datetime | None:
    found: datetime | None = await worker.fetchval("select min(created_at) from email_messages")
    return found


async def roll_up_day(worker: Connection, start: datetime, end: datetime) -> None:
    """Write down the sends of one day, counted anew: doing it twice changes nothing."""
    await worker.execute(_ROLL_UP, first_id(start), first_id(end), start.date())


async def set_done_until(worker: Connection, name: str, until: datetime) -> None:
    await worker.execute(
        "insert into usage_rollups (name, done_until) values ($1, $2) "
        "on conflict (name) do update set done_until = greatest(usage_rollups.done_until, excluded.done_until)",
        name,
        until,
    )


async def requests(
    session: AsyncSession,
    organization_id: UUID,
    mode: str,
    since: date,
    until: date,
    by: str,
    *,
    actor_id: UUID | None = None,
    operation: str | None = None,
    limit: int = 100,
) -> list[Mapping[str, Any]]:
    """Requests of the days from `since` to before `until`, by `day`, `operation` or `actor_id`; the largest first, days
    in their order."""
    counter = UsageCounter
    keys = [counter.actor_kind, counter.actor_id] if by == "actor_id" else [getattr(counter, by)]
    sums = [func.sum(getattr(counter, name)).label(name) for name in ("requests", "cost", "refused", "errors")]
    query = (
        select(*keys, *sums)
        .where(counter.organization_id == organization_id, counter.mode == mode)
        .where(counter.day >= since, counter.day < until)
        .group_by(*keys)
        .order_by(*([counter.day] if by == "day" else [sums[0].desc(), *keys]))
        .limit(limit)
    )
    if actor_id is not None:
        query = query.where(counter.actor_id == actor_id)
    if operation is not None:
        query = query.where(counter.operation == operation)
    found: list[Mapping[str, Any]] = [dict(row) for row in (await session.execute(query)).mappings()]
    for row in found:
        for name in ("requests", "cost", "refused", "errors"):
            row[name] = int(row[name])  # type: ignore[index]
    return found


async def cost_of_day(session: AsyncSession, organization_id: UUID, day: date) -> int:
    """Of all callers, live and test."""
    found = await session.scalar(
        select(func.sum(UsageCounter.cost)).where(
            UsageCounter.organization_id == organization_id, UsageCounter.day == day
        )
    )
    return int(found or 0)


async def claim_threshold(
    session: AsyncSession, organization_id: UUID, quota: str, period_start: datetime, threshold: int
) -> bool:
    """True for the one who is to tell it."""
    row = {"organization_id": organization_id, "quota": quota, "period_start": period_start, "threshold": threshold}
    statement = insert(UsageThreshold).values(**row).on_conflict_do_nothing().returning(UsageThreshold.threshold)
    return await session.scalar(statement) is not None


async def forget_counters(worker: Pool, before: date) -> int:
    """Drop counters of days before `before`; returns how many went."""
    gone = 0
    for table in ("usage_counters", "usage_sends"):
        status: str = await worker.execute(f"delete from {table} where day < $1", before)
        gone += int(status.rpartition(" ")[2])
    return gone
