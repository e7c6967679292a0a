"""SQL of the audit log. Written on the driver's connection, so that sessions and plain pools share one way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import AuditLog
from penguinmails_core.principal import Principal

# One row for each organization puts its writers in line; the upsert locks it and tells what it says after the wait.
_LOCK_HEAD = """
with head as (
  insert into audit_heads (organization_id) values ($1)
  on conflict (organization_id) do update set updated_at = now()
  returning sequence, hash
)
select sequence, hash, case $2
    when 'api_key' then (select name from api_keys where organization_id = $1 and id = $3)
    when 'user' then (select email from users where id = $3)
    when 'oauth_app' then (select name from oauth_apps where id = $3)
    when 'webhook_portal_link' then (
      select consumer from webhook_portal_links where organization_id = $1 and id = $3)
  end as label
from head
"""

_APPEND = """
with entry as (
  insert into audit_logs (organization_id, id, sequence, at, workspace_id, mode, actor_kind, actor_id, actor_user_id,
    actor_label, action, resource_type, resource_id, before, after, request_id, ip, user_agent, previous_hash, hash)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::text::jsonb, $15::text::jsonb, $16, $17, $18,
    $19, $20)
)
update audit_heads set sequence = $3, hash = $20, updated_at = now() where organization_id = $1
"""

_PAGE = """
select organization_id, id, sequence, at, workspace_id, mode, actor_kind, actor_id, actor_user_id, actor_label, action,
  resource_type, resource_id, before::text as before, after::text as after, request_id, ip, user_agent, previous_hash,
  hash
from audit_logs where organization_id = $1 and sequence > $2 order by sequence limit $3
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """`actions` are exact names or families such as ``api_key.*``. `since` is included, `until` is not."""

    actions: Sequence[str] = ()
    actor_id: UUID | None = None
    actor_kind: str | None = None
    resource_type: str | None = None
    resource_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Both ends of a chain (`models/audit_log.AuditHead`)."""

    sequence: int
    hash: bytes
    anchor_sequence: int
    anchor_hash: bytes


async def connection_of(session: AsyncSession) -> Connection:
    """The driver's connection under a session, inside its transaction."""
    raw = await (await session.connection()).get_raw_connection()
    connection: Connection = raw.driver_connection
    if not connection.is_in_transaction():  # SQLAlchemy begins with its first statement
        await session.execute(text("select 1"))
    return connection


async def lock_head(
    connection: Connection, organization_id: UUID, actor_kind: str, actor_id: UUID | None
) -> tuple[int, bytes, str | None]:
    """(sequence, hash, name of the actor) of the newest entry; others who write wait for this transaction."""
    row = await connection.fetchrow(_LOCK_HEAD, organization_id, actor_kind, actor_id)
    return row["sequence"], row["hash"], row["label"]


async def append(connection: Connection, row: Mapping[str, Any]) -> None:
    """`row` has every column of `audit_logs`; `before` and `after` are mappings or None."""
    columns = [_json(row[name]) if name in ("before", "after") else row[name] for name in _ORDER]
    await connection.execute(_APPEND, *columns)


_ORDER = (
    *("organization_id", "id", "sequence", "at", "workspace_id", "mode", "actor_kind", "actor_id", "actor_user_id"),
    *("actor_label", "action", "resource_type", "resource_id", "before", "after", "request_id", "ip", "user_agent"),
    *("previous_hash", "hash"),
)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------------- reading


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization; own workspace when bound to one; test credentials see what test credentials did."""
    conditions = [AuditLog.organization_id == principal.organization_id]
    if principal.workspace_id is not None:
        conditions.append(AuditLog.workspace_id == principal.workspace_id)
    if principal.mode == "test":
        conditions.append(AuditLog.mode == "test")
    return conditions


def _wanted(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actions:
        names = [name for name in wanted.actions if not name.endswith(".*")]
        families = [name[:-2] for name in wanted.actions if name.endswith(".*")]
        conditions.append(or_(AuditLog.action.in_(names), func.split_part(AuditLog.action, ".", 1).in_(families)))
    if wanted.actor_id is not None:
        conditions.append(or_(AuditLog.actor_id == wanted.actor_id, AuditLog.actor_user_id == wanted.actor_id))
    for column, value in (
        (AuditLog.actor_kind, wanted.actor_kind),
        (AuditLog.resource_type, wanted.resource_type),
        (AuditLog.resource_id, wanted.resource_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(AuditLog.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditLog.at < wanted.until)
    return conditions


async def list_entries(
    session: AsyncSession,
    principal: Principal,
    wanted: Filter,
    *,
    limit: int,
    after: int | None = None,
    before: int | None = None,
) -> list[AuditLog]:
    """Up to `limit`, the newest first: those older than sequence `after`, or the nearest newer than `before`."""
    query = select(AuditLog).where(*_visible(principal), *_wanted(wanted))
    return await newest_first(session, query, AuditLog.sequence, limit, after, before)


async def extent(session: AsyncSession, principal: Principal, wanted: Filter, most: int) -> tuple[int, int]:
    """(how many entries match, counted up to `most`, sequence of the newest)"""
    matching = select(AuditLog.sequence).where(*_visible(principal), *_wanted(wanted)).limit(most).subquery()
    row = (await session.execute(select(func.count(), func.max(matching.c.sequence)).select_from(matching))).one()
    return row[0], row[1] or 0


async def ascending(
    session: AsyncSession, principal: Principal, wanted: Filter, *, after: int, last: int, limit: int
) -> list[AuditLog]:
    query = select(AuditLog).where(*_visible(principal), *_wanted(wanted))
    query = query.where(AuditLog.sequence > after, AuditLog.sequence <= last).order_by(AuditLog.sequence).limit(limit)
    return list(await session.scalars(query))


async def get(session: AsyncSession, principal: Principal, entry_id: UUID) -> AuditLog | None:
    return await session.scalar(select(AuditLog).where(*_visible(principal), AuditLog.id == entry_id))


# ---------------------------------------------------------------------- the operator's side


async def organizations(pool: Pool) -> list[UUID]:
    """Whoever has entries, or had."""
    query = "select organization_id from audit_heads union select organization_id from audit_logs order by 1"
    return [row["organization_id"] for row in await pool.fetch(query)]


async def head(connection: Connection, organization_id: UUID) -> Head | None:
    row = await connection.fetchrow(
        "select sequence, hash, anchor_sequence, anchor_hash from audit_heads where organization_id = $1",
        organization_id,
    )
    return Head(*row) if row is not None else None


async def pages(connection: Connection, organization_id: UUID, size: int = 1000) -> AsyncIterator[list[dict[str, Any]]]:
    """Every entry of one organization, the oldest first."""
    last = -(2**62)  # an inserted entry may claim any place
    while rows := await connection.fetch(_PAGE, organization_id, last, size):
        yield [{**row, "before": _value(row["before"]), "after": _value(row["after"])} for row in rows]
        last = rows[-1]["sequence"]


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


# The anchor moves in the transaction that drops, so there is no moment at which the rest does not verify. Entries are
# dropped up to the first that is young enough: always a whole prefix, whatever clocks said.
_FORGET = """
with head as (
  select organization_id, anchor_sequence from audit_heads
  where organization_id = $1 for update
),
bound as (
  select coalesce(
      (select min(l.sequence) - 1 from audit_logs l where l.organization_id = $1 and l.at >= $2),
      (select max(l.sequence) from audit_logs l where l.organization_id = $1)
    ) as sequence
),
last as (
  select l.sequence, l.hash from audit_logs l, head, bound
  where l.organization_id = $1 and l.sequence > head.anchor_sequence
    and l.sequence <= least(bound.sequence, head.anchor_sequence + $3)
  order by l.sequence desc limit 1
),
moved as (
  update audit_heads h set anchor_sequence = last.sequence, anchor_hash = last.hash, updated_at = now()
  from last where h.organization_id = $1
)
delete from audit_logs l using last where l.organization_id = $1 and l.sequence <= last.sequence
"""


async def forget(pool: Pool, organization_id: UUID, before: datetime, limit: int) -> int:
    """Drop at most `limit` of the oldest entries of before that moment; returns how many went."""
    status: str = await pool.execute(_FORGET, organization_id, before, limit)
    return int(status.rpartition(" ")[2])


async def organizations_with_entries_before(pool: Pool, moment: datetime) -> list[UUID]:
    """Those whose oldest entry is older: one look at an index for each, however long the logs are."""
    rows = await pool.fetch(
        """
        select h.organization_id from audit_heads h
        join audit_logs l on l.organization_id = h.organization_id and l.sequence = h.anchor_sequence + 1
        where l.at < $1
        """,
        moment,
    )
    return [row["organization_id"] for row in rows]
