"""SQL of tracking. Hits are written and judged in bulk, as the role `worker`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.tracking.links import Target

# A recipient that is gone by now, or was never there, has no hits.
_INSERT = """
insert into tracking_hits (organization_id, id, recipient_id, kind, link, at, method, user_agent, prefetch)
select t.organization_id, t.id, t.recipient_id, t.kind, t.link, t.at, t.method, t.user_agent, t.prefetch
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::timestamptz[], $7::text[], $8::text[],
  $9::boolean[]) as t (organization_id, id, recipient_id, kind, link, at, method, user_agent, prefetch)
where exists (select from email_recipients r where (r.organization_id, r.id) = (t.organization_id, t.recipient_id))
on conflict do nothing
"""

# `burst` looks both ways in time: the caller waits until what belongs together is here.
_TAKE = """
with due as materialized (
  select * from tracking_hits where verdict is null and at < now() - $1::interval
  order by at limit $2 for update skip locked
)
select h.organization_id, h.id as hit_id, h.recipient_id as id, h.kind as hit_kind, h.link, h.at, h.method,
  h.user_agent, h.prefetch, r.message_id, r.kind, r.address, r.name, m.workspace_id, m.mode, m.message_class,
  m.from_address, m.from_domain, m.subject, m.tags, m.metadata, coalesce(cardinality(l.urls), 0) as links,
  l.urls[h.link + 1] as url,
  (select min(a.finished_at) from email_attempts a where (a.organization_id, a.recipient_id) = (h.organization_id,
    h.recipient_id) and a.outcome in ('sent', 'delivered')) as delivered_at,
  (select count(distinct o.link) from tracking_hits o where (o.organization_id, o.recipient_id) = (h.organization_id,
    h.recipient_id) and o.kind = 'click' and o.at between h.at - $3::interval and h.at + $3::interval) as burst
from due h
join email_recipients r on (r.organization_id, r.id) = (h.organization_id, h.recipient_id)
join email_messages m on (m.organization_id, m.id) = (r.organization_id, r.message_id)
left join tracked_links l on (l.organization_id, l.id) = (m.organization_id, m.id)
order by h.organization_id, h.recipient_id, h.at
"""

_SEEN = """
select distinct h.organization_id, h.recipient_id, h.kind, h.verdict from tracking_hits h
join unnest($1::uuid[], $2::uuid[]) t (organization_id, recipient_id) using (organization_id, recipient_id)
where h.verdict is not null
"""

_JUDGED = """
update tracking_hits h set verdict = t.verdict, confidence = t.confidence, rule = t.rule
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::text[]) t
  (organization_id, id, verdict, confidence, rule)
where (h.organization_id, h.id) = (t.organization_id, t.id)
"""

# In the order of their keys: two workers never wait for each other.
_COUNT_UP = """
with t as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::int[]) as t (organization_id, id, events)
),
held as materialized (
  select r.organization_id, r.id from email_recipients r join t using (organization_id, id)
  order by r.organization_id, r.id for update of r
)
update email_recipients r set event_sequence = r.event_sequence + t.events
from t join held using (organization_id, id)
where (r.organization_id, r.id) = (t.organization_id, t.id)
returning r.organization_id, r.id, r.event_sequence - t.events as before
"""


async def destination(session: AsyncSession, target: Target) -> str | None:
    """Where the link leads; None when the message is gone."""
    query = text(
        "select l.urls[:place] from email_recipients r "
        "join tracked_links l on (l.organization_id, l.id) = (r.organization_id, r.message_id) "
        "where (r.organization_id, r.id) = (:organization_id, :recipient_id)"
    )
    parameters = {
        "place": (target.link or 0) + 1,
        "organization_id": target.organization_id,
        "recipient_id": target.recipient_id,
    }
    url: str | None = await session.scalar(query, parameters)
    return url


async def keep_links(
    pool: Pool, organizations: Sequence[UUID], messages: Sequence[UUID], urls: Sequence[Sequence[str]]
) -> None:
    """Before the first of them is sent. What is kept already stays: a later attempt has the same links."""
    await pool.executemany(
        "insert into tracked_links (organization_id, id, urls) values ($1, $2, $3) on conflict do nothing",
        list(zip(organizations, messages, map(list, urls), strict=True)),
    )


async def write_hits(pool: Pool, columns: Sequence[Sequence[Any]]) -> None:
    """Columns: organization_id, id, recipient_id, kind, link, at, method, user_agent, prefetch."""
    await pool.execute(_INSERT, *columns)


async def take(connection: Connection, settle: timedelta, limit: int, burst: timedelta) -> list[Any]:
    """Hits that nobody has judged and that are at least `settle` old, by recipient and time; locked until the end of
    the transaction."""
    return list(await connection.fetch(_TAKE, settle, limit, burst))


async def seen(
    connection: Connection, organizations: Sequence[UUID], recipients: Sequence[UUID]
) -> set[tuple[UUID, UUID, str, str]]:
    """(organization, recipient, kind, verdict) of what was judged before."""
    return {tuple(row) for row in await connection.fetch(_SEEN, organizations, recipients)}


async def judged(connection: Connection, columns: Sequence[Sequence[Any]]) -> None:
    """Columns: organization_id, id, verdict, confidence, rule."""
    await connection.execute(_JUDGED, *columns)


async def count_up(
    connection: Connection, organizations: Sequence[UUID], recipients: Sequence[UUID], events: Sequence[int]
) -> dict[tuple[UUID, UUID], int]:
    """Room for so many events of each recipient: the sequence before the first."""
    rows = await connection.fetch(_COUNT_UP, organizations, recipients, events)
    return {(row["organization_id"], row["id"]): row["before"] for row in rows}


async def forget_hits(pool: Pool, keep: timedelta, limit: int) -> int:
    """Delete hits older than `keep`; returns how many."""
    status: str = await pool.execute(
        "with old as materialized (select organization_id, id from tracking_hits where at < now() - $1::interval "
        "limit $2 for update skip locked) delete from tracking_hits h using old "
        "where (h.organization_id, h.id) = (old.organization_id, old.id)",
        keep,
        limit,
    )
    return int(status.rpartition(" ")[2])
