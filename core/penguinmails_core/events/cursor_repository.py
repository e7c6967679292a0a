"""SQL of the event cursor: rows between two snapshots, in the order of their transactions.

`xid` is the id of the transaction that wrote a row. Which rows became visible between two looks is decided by
`pg_visible_in_snapshot` and not by any order of ids, since transactions commit in another order than they begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection

# Snapshots that nothing, or everything up to now, was visible in.
_START = {"beginning": "'1:1:'::pg_snapshot", "now": "pg_current_snapshot()"}

# A lock of the transaction, not of the row: a row lock would give the transaction an id before its snapshot is taken,
# and then its own events would count as seen. A plan that was made while the log was nearly empty must not read all of
# it later, so the transaction uses indexes only.
_LOCK = """
select pg_try_advisory_xact_lock(hashtextextended('event cursor ' || $1, 0)) as locked,
  set_config('enable_seqscan', 'off', true)"""

_STATE = """
select old::text, new::text, page_xid::text, page_id, pg_current_snapshot()::text as current,
  updated_at < now() - interval '5 seconds' as stale
from consumer_cursors where consumer = $1"""

# Snapshots stand in sub-selects so that their text is parsed once, not for every row.
_READ = """
select {columns}, xid::text as page_xid
from events
where xid >= (select pg_snapshot_xmin($1::text::pg_snapshot))
  and xid < (select pg_snapshot_xmax($2::text::pg_snapshot))
  and (xid, id) > ((select $3::text::xid8), $4::uuid)
  and not pg_visible_in_snapshot(xid, (select $1::text::pg_snapshot))
  and pg_visible_in_snapshot(xid, (select $2::text::pg_snapshot))
order by xid, id
limit $5"""

_COLUMNS = "organization_id, id, created_at, workspace_id, mode, type, resource_id, sequence"

_SAVE = """
update consumer_cursors
set old = $2::text::pg_snapshot, new = $3::text::pg_snapshot, page_xid = $4::text::xid8, page_id = $5,
  updated_at = now()
where consumer = $1"""

_READ_HEAD = _READ.format(columns=_COLUMNS)
_READ_WHOLE = _READ.format(columns=_COLUMNS + ", schema_version, payload")


@dataclass(frozen=True, slots=True)
class Position:
    """`old`: everything visible in it was read. `new`: the snapshot up to which a round is being read, page by page;
    None between rounds. `page_xid`, `page_id`: the last row of the last page."""

    old: str
    new: str | None = None
    page_xid: str | None = None
    page_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class State:
    position: Position
    current: str  # the snapshot of this look
    stale: bool  # not saved for a while


async def register(connection: Connection, consumer: str, start: str) -> None:
    """Makes the cursor unless there is one."""
    await connection.execute(
        f"insert into consumer_cursors (consumer, old) values ($1, {_START[start]}) on conflict do nothing", consumer
    )


async def lock(connection: Connection, consumer: str) -> bool:
    """True when this transaction is now the only reader."""
    locked: bool = await connection.fetchval(_LOCK, consumer)
    return locked


async def load(connection: Connection, consumer: str) -> State | None:
    """None when nobody has registered the consumer. Must be asked before the transaction has written anything."""
    row = await connection.fetchrow(_STATE, consumer)
    if row is None:
        return None
    position = Position(row["old"], row["new"], row["page_xid"], row["page_id"])
    return State(position, row["current"], row["stale"])


async def read(connection: Connection, position: Position, limit: int, payloads: bool) -> list[Any]:
    """The next rows of a round; `position.new` is set."""
    return list(
        await connection.fetch(
            _READ_WHOLE if payloads else _READ_HEAD,
            position.old,
            position.new,
            position.page_xid or "0",
            position.page_id or UUID(int=0),
            limit,
        )
    )


async def save(connection: Connection, consumer: str, position: Position) -> None:
    await connection.execute(_SAVE, consumer, position.old, position.new, position.page_xid, position.page_id)
