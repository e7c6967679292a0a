"""Replays as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from penguinmails_api.v1.common import Moment, Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_api.v1.webhook_endpoints.schemas import EventPatterns
from penguinmails_core.errors import FieldError, NotFound, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_replays.service import Only, Replay, Wish
from penguinmails_webhooks.events import InvalidPatterns, validate_patterns

ReplayIdInPath = Annotated[UUID, from_path(Prefix.WEBHOOK_REPLAY, "replay"), typeid(Prefix.WEBHOOK_REPLAY)]


class WebhookReplayStatus(StrEnum):
    """`failed`: the endpoint was disabled or deleted meanwhile; `reason` says which."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class WebhookReplayOnly(StrEnum):
    """`missing`: whatever was not delivered: given up, cancelled, waiting for a retry, or never owed because the
    endpoint was disabled, did not ask for it or did not exist. `failed`: what was given up. `all`: everything."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class WebhookReplayCreate(RequestBody):
    """What is sent once more: one event, or those of a time."""

    event_id: Annotated[str, typeid(Prefix.EVENT)] | None = Field(
        None, max_length=50, description="This event only, whatever became of it. Then give nothing else."
    )
    only: WebhookReplayOnly = WebhookReplayOnly.MISSING
    since: Moment | None = Field(
        None,
        description="Of events at this time or later, also from before the endpoint was made. Left out: since it was "
        "made; with `failed`, all that are kept.",
        examples=["2026-11-24T11:00:00Z"],
    )
    until: Moment | None = Field(None, description="Of events up to this time; left out: up to now.")
    types: EventPatterns | None = Field(
        None, description="Of what the endpoint asks for, only these. Left out: all of it.", examples=[["email.*"]]
    )

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        others = self.model_fields_set - {"event_id"}
        if self.event_id is not None and others:
            raise ValueError(f"give `event_id`, or {' and '.join(sorted(f'`{name}`' for name in others))}, not both")
        return self

    def wish(self) -> Wish:
        """Raises `Unprocessable` naming the fields."""
        if self.event_id is not None:
            try:
                return Wish(event_id=ids.decode(Prefix.EVENT, self.event_id))
            except ids.IdError as error:
                detail = f"`event_id`: {error}."
                raise Unprocessable(detail, errors=[FieldError("/event_id", "invalid_id", detail)]) from None
        types: list[str] = []
        if self.types is not None:
            try:
                types = validate_patterns(self.types, pointer="/types")
            except InvalidPatterns as error:
                raise Unprocessable(error.errors[0].detail, errors=error.errors) from None
        return Wish(None, Only(str(self.only)), self.since, self.until, types)


class WebhookReplayListQuery(PageQuery):
    endpoint_id: Annotated[str, typeid(Prefix.WEBHOOK_ENDPOINT)] | None = Field(
        None, max_length=50, description="Of this endpoint."
    )
    status: list[WebhookReplayStatus] = Field([], max_length=5, description="In this status; may be repeated.")

    def endpoint(self) -> UUID | None:
        """Raises `NotFound` for what is no id of an endpoint."""
        if self.endpoint_id is None:
            return None
        try:
            return ids.decode(Prefix.WEBHOOK_ENDPOINT, self.endpoint_id)
        except ids.IdError as error:
            raise NotFound(f"There is no such webhook endpoint: {error}.") from None


class WebhookReplay(Resource):
    """Events that are sent to an endpoint once more, with the same `webhook-id`s. It stands back behind what happens
    now, so a fresh event does not wait for it."""

    id: Annotated[str, typeid(Prefix.WEBHOOK_REPLAY)]
    endpoint_id: Annotated[str, typeid(Prefix.WEBHOOK_ENDPOINT)]
    status: WebhookReplayStatus
    reason: str | None = Field(
        description="Why it failed: `endpoint_disabled` or `endpoint_deleted`; more may be added.",
        examples=["endpoint_disabled"],
    )
    event_id: Annotated[str, typeid(Prefix.EVENT)] | None = Field(description="Null for those of a time.")
    only: WebhookReplayOnly | None = Field(description="Null for one event.")
    types: list[str] | None = Field(examples=[["email.*"]])
    since: Timestamp | None
    until: Timestamp | None
    total: int | None = Field(description="About how many events are looked at; null until it has begun.")
    done: int = Field(description="How many were looked at so far.")
    progress: float = Field(ge=0, le=1, description="`done` of `total`.", examples=[0.25])
    created: int = Field(description="Deliveries of events that had none.")
    resent: int = Field(description="Deliveries that were there and are due again.")
    delivered: int = Field(description="Of both, those that were received by now.")
    pending: int = Field(description="Of both, those that wait, for their turn or for a retry.")
    failed: int = Field(description="Of both, those that were given up or cancelled.")
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None

    @classmethod
    def of(cls, replay: Replay) -> Self:
        row, outcomes = replay.row, replay.outcomes
        return cls(
            id=ids.encode(Prefix.WEBHOOK_REPLAY, row.id),
            endpoint_id=ids.encode(Prefix.WEBHOOK_ENDPOINT, row.endpoint_id),
            status=WebhookReplayStatus(row.status),
            reason=row.reason,
            event_id=ids.encode(Prefix.EVENT, row.event_id) if row.event_id else None,
            only=WebhookReplayOnly(row.selection) if row.selection else None,
            types=row.types,
            since=row.since,
            until=row.until,
            total=row.total,
            done=row.scanned,
            progress=replay.progress,
            created=row.created,
            resent=row.resent,
            delivered=outcomes.get("delivered", 0),
            pending=outcomes.get("pending", 0),
            failed=outcomes.get("exhausted", 0) + outcomes.get("cancelled", 0),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class WebhookReplayList(Page[WebhookReplay]):
    """Replays, the newest first."""

    @classmethod
    def of(cls, replays: Sequence[Replay], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[WebhookReplay.of(replay) for replay in replays],
            has_more=has_more,
            next_cursor=next_cursor([row.row.id for row in replays], has_more, backwards=backwards),
        )
