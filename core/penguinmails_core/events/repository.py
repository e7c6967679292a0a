"""SQL of the event log.

Pages are read in commit order, (xid, id), and only up to the oldest transaction that is still open: a row that commits
late then still comes after every cursor that was handed out. The price is that one long write transaction holds the
log back for readers of this API (webhooks read by snapshots and are not held back).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import Event
from penguinmails_core.principal import Principal

DEFAULT_DAYS = 30


class Position(NamedTuple):
    """A place in the log."""

    xid: int
    id: UUID

    @classmethod
    def of(cls, row: EventRow) -> Position:
        return cls(row["xid"], row["id"])

    @classmethod
    def before(cls, xid: int) -> Position:
        """Before everything that this transaction has written."""
        return cls(xid, UUID(int=0))


EventRow = Mapping[str, Any]
"""The columns of `events`; `payload` may be JSON text, `xid` is an int."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """`types` are exact names, families such as ``email.*``, or ``*``; none: all."""

    types: Sequence[str] = ()
    resource_ids: Sequence[UUID] | None = None

    def wants(self, event_type: str, resource_id: UUID) -> bool:
        """As the statement of `list_events` decides."""
        if self.resource_ids is not None and resource_id not in self.resource_ids:
            return False
        return not self.types or any(
            name in (event_type, "*") or (name.endswith(".*") and event_type.startswith(name[:-1]))
            for name in self.types
        )


_COLUMNS = (
    "organization_id, id, created_at, workspace_id, mode, type, resource_id, sequence, schema_version, payload, "
    "xid::text as xid"
)
_KEPT = (
    "created_at >= now() - make_interval(days => "
    "(select event_retention_days from organizations where id = :organization_id))"
)
_VISIBLE = f"organization_id = :organization_id and mode = :mode and {_KEPT}"
_AFTER = "(xid, id) > (cast(cast(:xid as text) as xid8), :after)"
_UNTIL = "xid < cast(cast(:until as text) as xid8)"
# With the table's name: the alias `xid` is text, and "1000" would come before "999".
_ORDER = "order by events.xid, events.id limit :limit"


def add(
    session: AsyncSession,
    *,
    organization_id: UUID,
    workspace_id: UUID | None,
    mode: str,
    event: str,
    resource_id: UUID,
    sequence: int,
    payload: dict[str, Any],
) -> UUID:
    """Write an event in the transaction of the change; returns its id."""
    event_id = new_uuid()
    session.add(
        Event(
            organization_id=organization_id,
            id=event_id,
            workspace_id=workspace_id,
            mode=mode,
            type=str(event),
            resource_id=resource_id,
            sequence=sequence,
            payload=payload,
        )
    )
    return event_id


async def add_on(
    connection: Connection,
    *,
    organization_id: UUID,
    workspace_id: UUID | None,
    mode: str,
    event: str,
    resource_id: UUID,
    sequence: int,
    payload: dict[str, Any],
) -> UUID:
    """As `add`, in a transaction of a plain connection."""
    event_id = new_uuid()
    await connection.execute(
        "insert into events (organization_id, workspace_id, id, type, mode, resource_id, sequence, payload) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8)",
        organization_id,
        workspace_id,
        event_id,
        str(event),
        mode,
        resource_id,
        sequence,
        payload,
    )
    return event_id


async def horizon(session: AsyncSession) -> int:
    """The oldest transaction that is still open: of all before it, nothing more will come."""
    found = await session.scalar(text("select pg_snapshot_xmin(pg_current_snapshot())::text"))
    return int(found or 0)


async def read_log(
    session: AsyncSession, organization_id: UUID, after: Position, until: int, limit: int
) -> list[EventRow]:
    """All events of an organization after a place and before the transaction `until` (of `horizon`), ascending."""
    query = f"select {_COLUMNS} from events where organization_id = :organization_id and {_AFTER} and {_UNTIL} {_ORDER}"
    parameters = {"organization_id": organization_id, "limit": limit, "until": str(until), **_place(after)}
    return [_row(row) for row in await session.execute(text(query), parameters)]


async def list_events(
    session: AsyncSession,
    principal: Principal,
    wanted: EventFilter,
    *,
    after: Position | None,
    limit: int,
    until: int | None = None,
) -> list[EventRow]:
    """Ascending, from the first event after `after`. `until`: of `horizon`, so that the caller knows how far the page
    reaches when it is not full."""
    conditions = [_VISIBLE, _UNTIL if until is not None else "xid < pg_snapshot_xmin(pg_current_snapshot())"]
    parameters = _parameters(principal, conditions) | {"limit": limit}
    if until is not None:
        parameters["until"] = str(until)
    if after is not None:
        conditions.append(_AFTER)
        parameters |= _place(after)
    if wanted.types and "*" not in wanted.types:
        conditions.append(
            "(type = any (:types) or exists"
            " (select from unnest(cast(:families as text[])) as family where starts_with(type, family)))"
        )
        parameters["types"] = [name for name in wanted.types if not name.endswith(".*")]
        parameters["families"] = [name[:-1] for name in wanted.types if name.endswith(".*")]
    if wanted.resource_ids is not None:
        conditions.append("resource_id = any (:resources)")
        parameters["resources"] = list(wanted.resource_ids)
    query = f"select {_COLUMNS} from events where {' and '.join(conditions)} {_ORDER}"
    return [_row(row) for row in await session.execute(text(query), parameters)]


async def first_of_each(
    session: AsyncSession, principal: Principal, resource_ids: Sequence[UUID], limit: int
) -> list[EventRow]:
    """The first `limit` events of each resource, in one statement; in no particular order."""
    conditions = [_VISIBLE, "resource_id = any (:resources)"]
    parameters = _parameters(principal, conditions) | {"resources": list(resource_ids), "limit": limit}
    numbered = (
        "select events.*, row_number() over (partition by resource_id order by sequence, id) as place "
        f"from events where {' and '.join(conditions)}"
    )
    query = f"select {_COLUMNS} from ({numbered}) as events where place <= :limit"
    return [_row(row) for row in await session.execute(text(query), parameters)]


async def retention(session: AsyncSession, organization_id: UUID) -> timedelta:
    query = "select event_retention_days from organizations where id = :organization_id"
    days = await session.scalar(text(query), {"organization_id": organization_id})
    return timedelta(days=days or DEFAULT_DAYS)


async def oldest(session: AsyncSession, principal: Principal) -> UUID | None:
    """The first event that the caller can read."""
    conditions = [_VISIBLE]
    parameters = _parameters(principal, conditions)
    query = f"select id from events where {' and '.join(conditions)} order by events.xid, events.id limit 1"
    found: UUID | None = await session.scalar(text(query), parameters)
    return found


async def get_event(session: AsyncSession, principal: Principal, event_id: UUID) -> EventRow | None:
    conditions = [_VISIBLE, "id = :id"]
    parameters = _parameters(principal, conditions) | {"id": event_id}
    query = f"select {_COLUMNS} from events where {' and '.join(conditions)}"
    row = (await session.execute(text(query), parameters)).first()
    return _row(row) if row is not None else None


def _place(after: Position) -> dict[str, Any]:
    return {"xid": str(after.xid), "after": after.id}


def _parameters(principal: Principal, conditions: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"organization_id": principal.organization_id, "mode": principal.mode}
    if principal.workspace_id is not None:
        conditions.append("workspace_id = :workspace_id")
        parameters["workspace_id"] = principal.workspace_id
    return parameters


def _row(row: Any) -> EventRow:
    return {**row._mapping, "xid": int(row.xid)}
