"""SQL of the event log.

Pages are read in commit order, (xid, id), and only up to the oldest transaction that is still open: a row that commits
late then still comes after every cursor that was handed out. The price is that one long write transaction holds the
log back for readers of this API (webhooks read by snapshots and are not held back).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import Event
from penguinmails_core.principal import Principal


class Position(NamedTuple):
    """A place in the log."""

    xid: int
    id: UUID

    @classmethod
    def of(cls, row: EventRow) -> Position:
        return cls(row["xid"], row["id"])


EventRow = Mapping[str, Any]
"""The columns of `events`; `payload` may be JSON text, `xid` is an int."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """`types` are exact names or families such as ``email.*``."""

    types: Sequence[str] = ()
    resource_ids: Sequence[UUID] | None = None


_COLUMNS = (
    "organization_id, id, created_at, workspace_id, mode, type, resource_id, sequence, schema_version, payload, "
    "xid::text as xid"
)
_VISIBLE = "organization_id = :organization_id and mode = :mode"


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


async def list_events(
    session: AsyncSession, principal: Principal, wanted: EventFilter, *, after: Position | None, limit: int
) -> list[EventRow]:
    """Ascending, from the first event after `after`."""
    conditions = [_VISIBLE, "xid < pg_snapshot_xmin(pg_current_snapshot())"]
    parameters = _parameters(principal, conditions) | {"limit": limit}
    if after is not None:
        conditions.append("(xid, id) > (cast(cast(:xid as text) as xid8), :after)")
        parameters |= {"xid": str(after.xid), "after": after.id}
    if wanted.types:
        conditions.append("(type = any (:types) or split_part(type, '.', 1) = any (:families))")
        parameters["types"] = [name for name in wanted.types if not name.endswith(".*")]
        parameters["families"] = [name[:-2] for name in wanted.types if name.endswith(".*")]
    if wanted.resource_ids is not None:
        conditions.append("resource_id = any (:resources)")
        parameters["resources"] = list(wanted.resource_ids)
    # With the table's name: the alias `xid` is text, and "1000" would come before "999".
    order = "order by events.xid, events.id limit :limit"
    query = f"select {_COLUMNS} from events where {' and '.join(conditions)} {order}"
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


async def get_event(session: AsyncSession, principal: Principal, event_id: UUID) -> EventRow | None:
    conditions = [_VISIBLE, "id = :id"]
    parameters = _parameters(principal, conditions) | {"id": event_id}
    query = f"select {_COLUMNS} from events where {' and '.join(conditions)}"
    row = (await session.execute(text(query), parameters)).first()
    return _row(row) if row is not None else None


def _parameters(principal: Principal, conditions: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"organization_id": principal.organization_id, "mode": principal.mode}
    if principal.workspace_id is not None:
        conditions.append("workspace_id = :workspace_id")
        parameters["workspace_id"] = principal.workspace_id
    return parameters


def _row(row: Any) -> EventRow:
    return {**row._mapping, "xid": int(row.xid)}
