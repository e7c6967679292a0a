"""The event log."""

from __future__ import annotations

from typing import Any, Self

import orjson
import strawberry
from strawberry.scalars import JSON

from penguinmails_core.events.repository import EventRow
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime
from penguinmails_webhooks.events import resource_prefix


@strawberry.type(description="Something that happened; the same id and data as in webhooks and `GET /v1/events`.")
class Event(Node):
    type: str = strawberry.field(description="Such as `email.delivered`.")
    timestamp: DateTime
    schema_version: int
    resource_id: strawberry.ID = strawberry.field(description="Whose events `sequence` counts.")
    sequence: int = strawberry.field(description="Counts the events of one resource from 1; its true order.")
    workspace_id: strawberry.ID | None
    mode: str
    data: JSON = strawberry.field(description="What the event catalogue says for this type.")

    @classmethod
    def of(cls, row: EventRow) -> Self:
        payload: Any = row["payload"]
        return cls(
            id=strawberry.ID(ids.encode(Prefix.EVENT, row["id"])),
            type=row["type"],
            timestamp=DateTime(row["created_at"]),
            schema_version=row["schema_version"],
            resource_id=strawberry.ID(ids.encode(resource_prefix(row["type"]), row["resource_id"])),
            sequence=row["sequence"],
            workspace_id=(
                strawberry.ID(ids.encode(Prefix.WORKSPACE, row["workspace_id"])) if row["workspace_id"] else None
            ),
            mode=row["mode"],
            data=JSON(orjson.loads(payload) if isinstance(payload, str | bytes) else payload),
        )
