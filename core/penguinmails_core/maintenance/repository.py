"""SQL of housekeeping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Pool


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What an operator wants to know of the database at a glance."""

    version: str
    version_number: int
    partitions_ahead: int
    due: int
    oldest_due_seconds: float
    failed: int
    longest_write_seconds: float


async def ensure_partitions(pool: Pool, days: int) -> int:
    made: int = await pool.fetchval("select ensure_event_partitions($1)", days)
    return made


async def drop_partitions(pool: Pool, keep: timedelta) -> int:
    """Drop the days that are too old, and such events in the default partition; returns how many days went."""
    dropped: int = await pool.fetchval("select drop_event_partitions($1)", keep)
    await pool.execute(
        "delete from events where tableoid = 'events_default'::regclass and created_at < now() - $1::interval", keep
    )
    return dropped


async def longest_retention(pool: Pool, default: timedelta) -> timedelta:
    """Of all organizations; the default when there is none."""
    days: int | None = await pool.fetchval("select max(event_retention_days) from organizations")
    return timedelta(days=days) if days else default


async def shorter_retentions(pool: Pool, longest: timedelta) -> list[tuple[UUID, timedelta]]:
    """The organizations that keep events for less than the longest, so that dropping partitions is not enough."""
    rows = await pool.fetch(
        "select id, event_retention_days from organizations where event_retention_days < $1 order by id", longest.days
    )
    return [(row["id"], timedelta(days=row["event_retention_days"])) for row in rows]


async def forget_events(pool: Pool, organization_id: UUID, keep: timedelta, limit: int) -> int:
    """The oldest events of an organization that are too old; returns how many went. Ids begin with the time (UUIDv7),
    so that the primary key finds them."""
    status: str = await pool.execute(
        """
        delete from events where organization_id = $1 and created_at < now() - $2::interval and id = any(array(
          select id from events where organization_id = $1 and created_at < now() - $2::interval and id < $4
          order by id limit $3))
        """,
        organization_id,
        keep,
        limit,
        _first_id(utcnow() - keep + timedelta(days=1)),
    )
    return int(status.rpartition(" ")[2])


def _first_id(moment: datetime) -> UUID:
    """Before every UUIDv7 of this time."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def forget_deliveries(pool: Pool, limit: int) -> int:
    """Webhook deliveries and their attempts that are older than their organization keeps events; returns how many
    deliveries went."""
    status: str = await pool.execute(
        """
        with old as materialized (
          select d.organization_id, d.id from webhook_deliveries d left join organizations o on o.id = d.organization_id
          where d.created_at < now() - make_interval(days => coalesce(o.event_retention_days, 30))
            and d.status <> 'pending' limit $1 for update of d skip locked
        ),
        attempts as (
          delete from webhook_attempts a using old
          where (a.organization_id, a.delivery_id) = (old.organization_id, old.id)
        )
        delete from webhook_deliveries d using old where (d.organization_id, d.id) = (old.organization_id, old.id)
        """,
        limit,
    )
    return int(status.rpartition(" ")[2])


async def forget_replays(pool: Pool, keep: timedelta, limit: int) -> int:
    """Replays of webhooks that ended long ago; returns how many went."""
    status: str = await pool.execute(
        """
        delete from webhook_replays where ctid = any(array(
          select ctid from webhook_replays where finished_at < now() - $1::interval limit $2))
        """,
        keep,
        limit,
    )
    return int(status.rpartition(" ")[2])


_FACTS = """
select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
  (select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = 'events'::regclass
     and c.relname > 'events_' || to_char(now() at time zone 'UTC', 'YYYYMMDD')
     and c.relname <> 'events_default') as ahead,
  (select count(*) from email_recipients where due_at <= now()) as due,
  (select coalesce(extract(epoch from now() - min(due_at)), 0)::float8 from email_recipients
   where due_at <= now()) as oldest,
  (select count(*) from email_recipients where status = 'failed') as failed
"""

# `clock_timestamp()`: a transaction that began after ours would count as negative.
_LONGEST_WRITE = """
select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity
where backend_xid is not null and pid <> pg_backend_pid() and datname = current_database()
"""


async def server_facts(pool: Pool) -> ServerFacts:
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(_FACTS)
        # PostgreSQL shows a session only to the user that logged in, and hides it from the role that user acts as.
        await connection.execute("set local role none")
        longest: float = await connection.fetchval(_LONGEST_WRITE)
    return ServerFacts(row["version"], row["number"], row["ahead"], row["due"], row["oldest"], row["failed"], longest)
