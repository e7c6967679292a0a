"""What an operator asks of the database: is it there, how long are the queues."""

from __future__ import annotations

from penguinmails_core.kit.db import Pool

_DEPTH = """
select lane, count(*) filter (where due_at <= now()) as waiting,
  coalesce(extract(epoch from now() - min(due_at) filter (where due_at <= now())), 0)::float8 as overdue
from email_recipients where due_at is not null group by lane"""

# Counters that PostgreSQL keeps anyway; counting the rows of the event log would read all of it.
_INSERTED = """
select case when c.relispartition then 'events' else s.relname end as name, sum(s.n_tup_ins)::bigint as rows
from pg_stat_user_tables s join pg_class c on c.oid = s.relid
where s.relname in ('email_attempts', 'webhook_attempts') or (c.relispartition and s.relname like 'events\\_%')
group by 1"""


async def ping(pool: Pool) -> None:
    await pool.fetchval("select 1")


async def queue_depth(worker: Pool) -> list[tuple[str, int, float]]:
    """For each lane: recipients whose time has come, and how many seconds the most overdue waits."""
    return [(row["lane"], row["waiting"], row["overdue"]) for row in await worker.fetch(_DEPTH)]


async def webhook_deliveries_due(worker: Pool) -> int:
    count: int = await worker.fetchval("select count(*) from webhook_deliveries where due_at is not null")
    return count


async def webhook_endpoints(worker: Pool) -> dict[str, int]:
    """How many there are in each status."""
    counts = dict.fromkeys(("enabled", "disabled"), 0)
    for row in await worker.fetch("select status, count(*) as count from webhook_endpoints group by status"):
        counts[row["status"]] = row["count"]
    return counts


async def rows_inserted(worker: Pool) -> dict[str, int]:
    """Rows ever inserted into `events`, `email_attempts` and `webhook_attempts`, all processes together."""
    return {row["name"]: row["rows"] for row in await worker.fetch(_INSERTED)}
