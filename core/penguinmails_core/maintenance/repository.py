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
    dropped: int = await pool.fetchval("select drop_event_partitions($1)", keep)
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


async def server_facts(pool: Pool) -> ServerFacts:
    row = await pool.fetchrow(
        """
        select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
          (select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = 'events'::regclass
             and c.relname > 'events_' || to_char(now() at time zone 'UTC', 'YYYYMMDD')
             and c.relname <> 'events_default') as ahead,
          (select count(*) from email_recipients where due_at <= now()) as due,
          (select coalesce(extract(epoch from now() - min(due_at)), 0)::float8 from email_recipients
           where due_at <= now()) as oldest,
          (select count(*) from email_recipients where status = 'failed') as failed,
          (select coalesce(max(extract(epoch from now() - xact_start)), 0)::float8 from pg_stat_activity
           where backend_xid is not null and pid <> pg_backend_pid()) as longest
        """
    )
    return ServerFacts(
        row["version"], row["number"], row["ahead"], row["due"], row["oldest"], row["failed"], row["longest"]
    )
