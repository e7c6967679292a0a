"""Events that are sent to an endpoint once more."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_replays.service import Replay
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime


@strawberry.enum(description="`FAILED`: the endpoint was disabled or deleted meanwhile; `reason` says which.")
class WebhookReplayStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@strawberry.enum(
    description="`MISSING`: whatever was not delivered, or never owed because the endpoint was disabled or did not "
    "exist. `FAILED`: what was given up. `ALL`: everything."
)
class WebhookReplayOnly(StrEnum):
    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


@strawberry.type(description="Events that are sent to an endpoint once more, with the same `webhook-id`s.")
class WebhookReplay(Node):
    endpoint_id: strawberry.ID
    status: WebhookReplayStatus
    reason: str | None = strawberry.field(description="Why it failed.")
    event_id: strawberry.ID | None = strawberry.field(description="Null for those of a time.")
    only: WebhookReplayOnly | None = strawberry.field(description="Null for one event.")
    types: list[str] | None
    since: DateTime | None
    until: DateTime | None
    total: int | None = strawberry.field(description="About how many events are looked at.")
    done: int = strawberry.field(description="How many were looked at so far.")
    progress: float
    created: int = strawberry.field(description="Deliveries of events that had none.")
    resent: int = strawberry.field(description="Deliveries that were there and are due again.")
    delivered: int
    pending: int
    failed: int
    created_at: DateTime
    started_at: DateTime | None
    finished_at: DateTime | None

    @classmethod
    def of(cls, replay: Replay) -> Self:
        row, outcomes = replay.row, replay.outcomes
        moments = {
            name: DateTime(value) if (value := getattr(row, name)) else None
            for name in ("since", "until", "started_at", "finished_at")
        }
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WEBHOOK_REPLAY, row.id)),
            endpoint_id=strawberry.ID(ids.encode(Prefix.WEBHOOK_ENDPOINT, row.endpoint_id)),
            status=WebhookReplayStatus(row.status),
            reason=row.reason,
            event_id=id_of(Prefix.EVENT, row.event_id),
            only=WebhookReplayOnly(row.selection) if row.selection else None,
            types=row.types,
            total=row.total,
            done=row.scanned,
            progress=replay.progress,
            created=row.created,
            resent=row.resent,
            delivered=outcomes.get("delivered", 0),
            pending=outcomes.get("pending", 0),
            failed=outcomes.get("exhausted", 0) + outcomes.get("cancelled", 0),
            created_at=DateTime(row.created_at),
            **moments,
        )
