"""SQL of the bounce intake. Role `worker`, plain asyncpg; one report is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

# A token holds the first half of the organization's id, so a handful of organizations at most is looked through; the
# recipient's or message's id decides. Locked in the order of ids: two reports on one message wait for each other.
_COLUMNS = """
select r.organization_id, r.id, r.message_id, r.kind, r.address, r.name, r.status, r.reason, r.attempts as number,
  r.event_sequence, r.lane, m.workspace_id, m.mode, m.message_class, m.from_address, m.from_domain, m.subject, m.tags,
  m.metadata
from organizations o
join email_recipients r on r.organization_id = o.id and r.{column} = $3
join email_messages m on (m.organization_id, m.id) = (r.organization_id, r.message_id)
where o.id between $1 and $2
order by r.id for update of r
"""
_OF_RECIPIENT = _COLUMNS.format(column="id")
_OF_MESSAGE = _COLUMNS.format(column="message_id")

_CHANGE = """
update email_recipients set status = coalesce($3, status), code = $4, enhanced_code = $5, reply = $6, reason = $7,
  event_sequence = event_sequence + 1, updated_at = now()
where (organization_id, id) = ($1, $2)
returning event_sequence
"""
_COMPLAIN = """
update email_recipients set status = 'complained', event_sequence = event_sequence + 1, updated_at = now()
where (organization_id, id) = ($1, $2)
returning event_sequence
"""
_REPORT = """
insert into bounce_reports (organization_id, id, workspace_id, message_id, recipient_id, digest, position, kind, reason,
  scope, action, hard, enhanced_code, diagnostic, reported_address, remote_host, reporter, rule, effect, suppressed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
"""


async def targets(
    connection: Connection, first: UUID, last: UUID, *, recipient_id: UUID | None, message_id: UUID | None
) -> list[Any]:
    """The recipients that a token stands for, locked; none when the message is gone. Give one of the two ids."""
    if recipient_id is not None:
        return list(await connection.fetch(_OF_RECIPIENT, first, last, recipient_id))
    return list(await connection.fetch(_OF_MESSAGE, first, last, message_id))


async def seen_before(connection: Connection, organization_id: UUID, digest: bytes) -> bool:
    """Whether this very report was dealt with; counts it."""
    query = """
        update bounce_reports set seen = seen + 1 where organization_id = $1 and digest = $2 returning id
    """
    return bool(await connection.fetch(query, organization_id, digest))


async def change(
    connection: Connection,
    row: Any,
    status: str | None,
    *,
    code: int | None,
    enhanced_code: str | None,
    reply: str,
    reason: str,
) -> int:
    """What a recipient is known to be now, with the server's words; `status` None leaves it. Returns the sequence of
    the event that the caller writes."""
    sequence: int = await connection.fetchval(
        _CHANGE, row["organization_id"], row["id"], status, code, enhanced_code, reply, reason
    )
    return sequence


async def complain(connection: Connection, row: Any) -> int:
    """As `change`: what the server said when it took the message stays."""
    sequence: int = await connection.fetchval(_COMPLAIN, row["organization_id"], row["id"])
    return sequence


async def add_report(connection: Connection, values: Sequence[Any]) -> None:
    """Values: organization_id, id, workspace_id, message_id, recipient_id, digest, position, kind, reason, scope,
    action, hard, enhanced_code, diagnostic, reported_address, remote_host, reporter, rule, effect, suppressed."""
    await connection.execute(_REPORT, *values)


async def add_refused(pool: Pool, values: Sequence[Any]) -> None:
    """Values: id, cause, recipient, envelope_sender, reporter, digest, excerpt."""
    await pool.execute(
        """
        insert into refused_reports (id, cause, recipient, envelope_sender, reporter, digest, excerpt)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (digest) do update set seen = refused_reports.seen + 1
        """,
        *values,
    )


async def list_refused(pool: Pool, limit: int) -> list[Any]:
    """The newest first."""
    query = "select * from refused_reports order by received_at desc, id desc limit $1"
    return list(await pool.fetch(query, limit))


async def forget_refused(pool: Pool, keep: timedelta, most: int) -> int:
    """Delete what is older than `keep`, and the oldest beyond the newest `most`; returns how many."""
    status: str = await pool.execute(
        """
        delete from refused_reports where received_at < greatest(now() - $1::interval, coalesce((
          select received_at from refused_reports order by received_at desc offset $2 limit 1), '-infinity'))
        """,
        keep,
        most,
    )
    return int(status.rpartition(" ")[2])
