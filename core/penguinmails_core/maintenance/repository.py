"""SQL of housekeeping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

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


async def forget_deliveries(pool: Pool, keep: timedelta, limit: int) -> int:
    """Old webhook deliveries and their attempts; returns how many deliveries went."""
    status: str = await pool.execute(
        """
        with old as (
          select organization_id, id from webhook_deliveries
          where created_at < now() - $1::interval and status <> 'pending' limit $2 for update skip locked
        ),
        attempts as (
          delete from webhook_attempts a using old
          where (a.organization_id, a.delivery_id) = (old.organization_id, old.id)
        )
        delete from webhook_deliveries d using old where (d.organization_id, d.id) = (old.organization_id, old.id)
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
