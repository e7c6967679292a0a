"""SQL of handling: which messages wait, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from penguinmails_core.kit.db import Connection, Pool

# The lease is the next due time: who dies in the middle leaves a message that becomes due again by itself.
_CLAIM = """
update inbound_messages m set due_at = now() + $2::interval, attempts = least(m.attempts + 1, 32000)
from (
  select organization_id, id from inbound_messages
  where due_at <= now() order by due_at limit $1 for update skip locked
) due
where (m.organization_id, m.id) = (due.organization_id, due.id)
returning m.organization_id, m.id, m.workspace_id, m.mode, m.source_id, m.scheme, m.event, m.delivery_id, m.headers,
  m.body, m.size_bytes, m.received_at, m.handlers, m.attempts,
  (select name from inbound_sources s where (s.organization_id, s.id) = (m.organization_id, m.source_id)) as source_name
"""

# Only as long as the claim is ours: `attempts` counts claims, and a replay begins anew.
_RECORD = """
update inbound_messages set handlers = $4, status = $5, due_at = now() + $6::interval,
  processed_at = case when $6::interval is null then now() end,
  event_sequence = event_sequence + case when $7 then 1 else 0 end
where (organization_id, id) = ($1, $2) and attempts = $3
returning event_sequence
"""

_EVENT = """
insert into events (organization_id, id, workspace_id, mode, type, resource_id, sequence, payload)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def claim(pool: Pool, limit: int, lease: timedelta) -> Sequence[Any]:
    rows: Sequence[Any] = await pool.fetch(_CLAIM, limit, lease)
    return rows


async def record(
    connection: Connection, row: Any, handlers: dict[str, Any], status: str, wait: timedelta | None, *, told: bool
) -> int | None:
    """The sequence of the message's next event; None when the claim is not ours any more. `told`: an event follows."""
    sequence: int | None = await connection.fetchval(
        _RECORD, row["organization_id"], row["id"], row["attempts"], handlers, status, wait, told
    )
    return sequence


async def tell(connection: Connection, row: Any, event_id: Any, event: str, sequence: int, payload: Any) -> None:
    await connection.execute(
        _EVENT,
        row["organization_id"],
        event_id,
        row["workspace_id"],
        row["mode"],
        event,
        row["id"],
        sequence,
        payload,
    )


async def next_due(pool: Pool) -> float | None:
    """Seconds until a message waits, 0 when one does; None when none will."""
    found: float | None = await pool.fetchval(
        "select greatest(extract(epoch from min(due_at) - now()), 0)::float8 from inbound_messages "
        "where due_at is not null"
    )
    return found


__all__ = ["claim", "next_due", "record", "tell"]
