"""SQL of payload filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penguinmails_core.kit.db import Connection

# In the order of the primary key's columns, which name one partition for each row.
_WHOLE_EVENTS = """
select v.organization_id, v.id, v.created_at, v.workspace_id, v.mode, v.type, v.resource_id, v.sequence,
  v.schema_version, v.payload::text as payload
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as w (organization_id, id, created_at)
join events v on v.organization_id = w.organization_id and v.id = w.id and v.created_at = w.created_at"""


async def whole_events(connection: Connection, events: Sequence[Any]) -> list[Any]:
    """These events with their payloads, as JSON text; in no particular order."""
    return list(
        await connection.fetch(
            _WHOLE_EVENTS,
            [event["organization_id"] for event in events],
            [event["id"] for event in events],
            [event["created_at"] for event in events],
        )
    )
