"""Deliveries of webhooks, their attempts, and the search over them, as the API takes and shows them."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import (
    Moment,
    Page,
    QueryParameters,
    RequestBody,
    Resource,
    Timestamp,
    from_path,
    typeid,
)
from penguinmails_api.v1.events.schemas import Event, EventTypes
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_api.v1.webhook_endpoints.pace import wait_of
from penguinmails_api.v1.webhook_endpoints.schemas import WebhookEndpoint
from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_deliveries.repository import Filter
from penguinmails_core.webhook_endpoints import service

DeliveryIdInPath = Annotated[UUID, from_path(Prefix.WEBHOOK_DELIVERY, "delivery"), typeid(Prefix.WEBHOOK_DELIVERY)]

_ID = 50


class WebhookDeliveryStatus(StrEnum):
    """`exhausted`: given up after the last attempt, or refused for good by the receiver."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


class WebhookEndedStatus(StrEnum):
    """How a delivery can have ended without being delivered."""

    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


class WebhookResendRequest(RequestBody):
    """Which deliveries are tried again."""

    status: list[WebhookEndedStatus] = Field(
        default_factory=lambda: [WebhookEndedStatus.EXHAUSTED],
        min_length=1,
        max_length=2,
        description="That ended so; left out: `exhausted`.",
    )
    since: Moment | None = Field(None, description="Of events at this time or later; left out: all that are kept.")


class WebhookResent(Resource):
    """How many deliveries are due again."""

    resent: int = Field(description="At most 10,000; then there may be more: call it again.")


class _WebhookDelivery(Resource):
    id: Annotated[str, typeid(Prefix.WEBHOOK_DELIVERY)]
    endpoint_id: Annotated[str, typeid(Prefix.WEBHOOK_ENDPOINT)]
    event_id: Annotated[str, typeid(Prefix.EVENT)] = Field(description="The `webhook-id` of every attempt.")
    event_type: str = Field(examples=["email.delivered"])
    status: WebhookDeliveryStatus
    attempt_count: int = Field(description="Attempts begun so far.")
    next_attempt_at: Timestamp | None = Field(description="When it is tried next; null when nothing is due.")
    fifo_key: str | None = Field(
        description="What it is kept in order by; null without order.", examples=["msg_01k5w8m3xjf2r9v0q4tz7h6cde"]
    )
    held: bool = Field(description="Whether it waits for an earlier delivery with the same `fifo_key`.")
    throttled_ms: int = Field(
        description="How long `throttle` and `concurrency` have held it back so far.", examples=[0]
    )
    last_status_code: int | None = Field(description="Of the last answer; null when none came.", examples=[204])
    last_error: str | None = Field(
        description="Why the last attempt failed: one word, a colon, a sentence.",
        examples=["timeout: no complete answer within 15 s (waiting for the answer)"],
    )
    created_at: Timestamp
    delivered_at: Timestamp | None


class WebhookAttemptTiming(Resource):
    """Milliseconds of each part; null where there was none: over a connection that was open already, or because the
    attempt failed before."""

    dns_ms: float | None = Field(examples=[1.9])
    connect_ms: float | None = Field(examples=[12.4])
    tls_ms: float | None = Field(examples=[18.2])
    first_byte_ms: float | None = Field(
        description="From the end of the request to the first byte of the answer.", examples=[41.7]
    )
    total_ms: float | None = Field(examples=[75.3])


class WebhookAttempt(Resource):
    id: Annotated[str, typeid(Prefix.WEBHOOK_ATTEMPT)]
    number: int = Field(description="Counts from 1.")
    started_at: Timestamp
    duration_ms: int
    status_code: int | None = Field(description="Null when no answer came.", examples=[503])
    error: str | None = Field(examples=["status: the receiver answered 503, not 2xx"])
    response_body: str | None = Field(description="The first 2 KB of the answer, as text.")
    timing: WebhookAttemptTiming
    remote_address: str | None = Field(description="Whom it reached; null when nobody.", examples=["192.0.2.80"])
    tls_version: str | None = Field(description="Null without TLS.", examples=["TLSv1.3"])
    connection_reused: bool | None = Field(description="Whether the connection had been open before.")
    request_headers: dict[str, str] = Field(
        description="As they were sent; values of headers that you have set are hidden. The body was the event.",
        examples=[{"webhook-id": "evt_01k5w8m3xjf2r9v0q4tz7h6cdh", "content-type": "application/json"}],
    )
    response_headers: dict[str, str] = Field(
        description="Up to 50, each cut after 500 characters.", examples=[{"content-type": "text/plain"}]
    )

    @classmethod
    def of(cls, row: models.WebhookAttempt) -> Self:
        return cls(
            id=ids.encode(Prefix.WEBHOOK_ATTEMPT, row.id),
            number=row.number,
            started_at=row.started_at,
            duration_ms=row.duration_ms,
            status_code=row.status_code,
            error=row.error,
            response_body=row.response_body,
            **_detail(row.detail or {}),
        )


def _detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Of attempts that did not get so far, or were made before it was kept, the rest is null."""
    parts = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms")
    return {
        "timing": WebhookAttemptTiming(**{name: detail.get(name) for name in parts}),
        "remote_address": detail.get("remote_address"),
        "tls_version": detail.get("tls_version"),
        "connection_reused": detail.get("reused"),
        "request_headers": detail.get("request_headers", {}),
        "response_headers": detail.get("response_headers", {}),
    }


def _delivery_columns(row: models.WebhookDelivery) -> dict[str, Any]:
    return {
        "id": ids.encode(Prefix.WEBHOOK_DELIVERY, row.id),
        "endpoint_id": ids.encode(Prefix.WEBHOOK_ENDPOINT, row.endpoint_id),
        "event_id": ids.encode(Prefix.EVENT, row.event_id),
        "event_type": row.event_type,
        "status": WebhookDeliveryStatus(row.status),
        "attempt_count": row.attempts,
        **wait_of(row),
        "last_status_code": row.last_status_code,
        "last_error": row.last_error,
        "created_at": row.created_at,
        "delivered_at": row.delivered_at,
    }


class WebhookDeliverySummary(_WebhookDelivery):
    """One event that is or was owed to an endpoint."""

    @classmethod
    def of(cls, row: models.WebhookDelivery) -> Self:
        return cls(**_delivery_columns(row))


class WebhookDeliveryDetail(_WebhookDelivery):
    """One event that is or was owed to an endpoint, and every attempt."""

    attempts: list[WebhookAttempt] = Field(description="The first one first.")

    @classmethod
    def of(cls, delivery: service.Delivery) -> Self:
        attempts = [WebhookAttempt.of(row) for row in delivery.attempts]
        return cls(**_delivery_columns(delivery.row), attempts=attempts)


class WebhookDeliveryExpanded(WebhookDeliveryDetail):
    """A delivery with every attempt, and on request what belongs to it."""

    event: Event | None = Field(
        None, description="What is or was sent; null without `expand=event`, or when it is not kept any more."
    )
    endpoint: WebhookEndpoint | None = Field(None, description="Where to; null without `expand=endpoint`.")


class WebhookDeliveryList(Page[WebhookDeliverySummary]):
    """Deliveries of one endpoint, the newest event first."""

    @classmethod
    def of(cls, rows: Sequence[models.WebhookDelivery], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[WebhookDeliverySummary.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.event_id for row in rows], has_more, backwards=backwards),
        )


class WebhookDeliveryListQuery(PageQuery):
    status: list[WebhookDeliveryStatus] = Field([], max_length=4, description="In this status; may be repeated.")


class WebhookDeliveryFilter(QueryParameters):
    """All that is given must hold."""

    status: list[WebhookDeliveryStatus] = Field([], max_length=4, description="In this status; may be repeated.")
    endpoint_id: Annotated[str, typeid(Prefix.WEBHOOK_ENDPOINT)] | None = Field(
        None, max_length=_ID, description="To this endpoint."
    )
    event_id: Annotated[str, typeid(Prefix.EVENT)] | None = Field(None, max_length=_ID, description="Of this event.")
    email_id: Annotated[str, typeid(Prefix.EMAIL)] | None = Field(
        None, max_length=_ID, description="Of events about this email, for any of its recipients."
    )
    types: EventTypes = Field(
        [], max_length=50, description="Of events of this type; may be repeated. `email.*` stands for a whole family."
    )
    status_code: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        [], max_length=20, description="Whose last answer had this status; may be repeated.", examples=[[503]]
    )
    error: list[Annotated[str, Field(pattern="^[a-z_]+$", max_length=40)]] = Field(
        [],
        max_length=20,
        description="Whose last attempt failed for this reason: the word before the colon of `last_error`.",
        examples=[["timeout"]],
    )
    since: Moment | None = Field(None, description="Owed since then.")
    until: Moment | None = Field(None, description="Owed up to then.")

    def to_filter(self) -> Filter:
        """Raises `Unprocessable` for what is no id."""
        return Filter(
            statuses=[str(status) for status in self.status],
            endpoint_id=_uuid(Prefix.WEBHOOK_ENDPOINT, "endpoint_id", self.endpoint_id),
            event_id=_uuid(Prefix.EVENT, "event_id", self.event_id),
            email_id=_uuid(Prefix.EMAIL, "email_id", self.email_id),
            types=self.types,
            status_codes=self.status_code,
            errors=self.error,
            since=self.since,
            until=self.until,
        )


class WebhookDeliverySearch(WebhookDeliveryFilter, PageQuery):
    pass


class WebhookDeliverySearchList(Page[WebhookDeliverySummary]):
    """Deliveries to all endpoints, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.WebhookDelivery], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[WebhookDeliverySummary.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )


class WebhookAttempts(Resource):
    """Every attempt of one delivery."""

    data: list[WebhookAttempt] = Field(description="The first one first.")


def _uuid(prefix: str, name: str, value: str | None) -> UUID | None:
    if value is None:
        return None
    try:
        return ids.decode(prefix, value)
    except ids.IdError as error:
        detail = f"`{name}`: {error}."
        raise Unprocessable(detail, errors=[FieldError(name, "invalid_id", detail)]) from None
