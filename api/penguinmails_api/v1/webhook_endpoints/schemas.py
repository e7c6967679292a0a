"""Webhook endpoints and their deliveries as the API shows them."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from penguinmails_api.v1.common import (
    DEFAULT_LIMIT,
    Limit,
    Moment,
    Page,
    QueryParameters,
    RequestBody,
    Resource,
    Timestamp,
    from_path,
    typeid,
)
from penguinmails_api.v1.events.schemas import Event
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.paging import OF_WORKSPACE, WorkspaceFilter
from penguinmails_api.v1.webhook_endpoints.destination import Destination, WebhookDestination, destination_of
from penguinmails_api.v1.webhook_endpoints.pace import (
    Concurrency,
    FifoKey,
    Throttle,
    WebhookFifo,
    WebhookHealth,
    WebhookThrottle,
    pace_of,
    wait_of,
)
from penguinmails_api.v1.webhook_endpoints.request import (
    ClientCertificate,
    EventFilter,
    Headers,
    Payload,
    PublicKey,
    SchemaVersion,
    Secret,
    SecretHeaders,
    Signature,
    WebhookClientCertificate,
    WebhookPayload,
    WebhookSignature,
    request_of,
)
from penguinmails_core import models
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.http_guard import MAX_URL
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_endpoints import checks, service
from penguinmails_core.webhook_endpoints.consumers import MAX_CONSUMER
from penguinmails_core.webhook_endpoints.secrets import last_expiry

EndpointIdInPath = Annotated[
    UUID, from_path(Prefix.WEBHOOK_ENDPOINT, "webhook endpoint"), typeid(Prefix.WEBHOOK_ENDPOINT)
]
DeliveryIdInPath = Annotated[UUID, from_path(Prefix.WEBHOOK_DELIVERY, "delivery"), typeid(Prefix.WEBHOOK_DELIVERY)]

Url = Annotated[
    str,
    Field(
        max_length=MAX_URL,
        description="Where events are POSTed to: https, on a public host, without user name or password. Of another "
        "`destination`: the server or the queue.",
        examples=["https://hooks.example.com/penguinmails"],
        json_schema_extra={"format": "uri"},
    ),
]
EventPatterns = Annotated[
    list[Annotated[str, Field(max_length=100)]],
    Field(
        min_length=1,
        max_length=100,
        description="Which events: exact names, families such as `email.*`, or `*` for all. `GET /v1/event_types` has "
        "them; those that are only announced may be named, and come once their feature is there.",
        examples=[["email.*"]],
    ),
]
Description = Annotated[
    str | None,
    Field(max_length=checks.MAX_DESCRIPTION, description="For people.", examples=["Order service"]),
]
Metadata = Annotated[
    Annotated[
        dict[str, Annotated[str, AtMost(maxLength=checks.MAX_METADATA_VALUE)]],
        AtMost(maxProperties=checks.MAX_METADATA),
    ]
    | None,
    Field(
        description=f"Up to {checks.MAX_METADATA} entries; keys of up to {checks.MAX_METADATA_KEY}, values of up to "
        f"{checks.MAX_METADATA_VALUE} characters.",
        examples=[{"team": "orders"}],
    ),
]

Consumer = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=MAX_CONSUMER,
        description="Which customer of yours it belongs to, by your own id: links into the webhook portal are for one "
        "consumer. Null: it is your own.",
        examples=["customer_42"],
    ),
]


class WebhookEndpointStatus(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class WebhookDeliveryStatus(StrEnum):
    """`exhausted`: given up after the last attempt, or refused for good by the receiver."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


_EXAMPLE: dict[str, Any] = {  # certificates and secrets in an example would be refused, or used
    "url": "https://hooks.example.com/penguinmails",
    "events": ["email.*"],
    "filter": {"data.tags": "order"},
    "payload": "full",
    "headers": {"X-Environment": "production"},
    "description": "Order service",
    "metadata": {"team": "orders"},
    "throttle": {"limit": 10, "per": "second"},
}


class WebhookEndpointCreate(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    url: Url
    destination: Destination = None
    events: EventPatterns
    filter: EventFilter = None
    payload: Payload = WebhookPayload.FULL
    headers: Headers = None
    secret_headers: SecretHeaders = None
    signature: Signature = None
    secret: Secret = None
    schema_version: SchemaVersion | None = None
    client_certificate: ClientCertificate = None
    description: Description = None
    metadata: Metadata = None
    throttle: Throttle = None
    concurrency: Concurrency = None
    fifo: FifoKey = None
    consumer: Consumer = None

    def asked(self) -> dict[str, Any]:
        """Keyword arguments for the service."""
        return self.model_dump(exclude={"schema_version"} if self.schema_version is None else None)


def _unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `WebhookEndpointUpdate.changes`."""


class WebhookEndpointUpdate(RequestBody):
    """Only what is given is changed; null empties `description`, `metadata`, `headers` and `secret_headers`, and ends
    `filter`, `client_certificate`, `throttle`, `concurrency` and `fifo`. Secrets are changed by `rotate_secret`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | {"status": "enabled"}]})

    url: Url = Field(default_factory=_unset)
    destination: Destination = Field(default_factory=_unset)
    events: EventPatterns = Field(default_factory=_unset)
    filter: EventFilter = Field(default_factory=_unset)
    payload: Payload = Field(default_factory=_unset)
    headers: Headers = Field(default_factory=_unset)
    secret_headers: SecretHeaders = Field(default_factory=_unset)
    schema_version: SchemaVersion = Field(default_factory=_unset)
    client_certificate: ClientCertificate = Field(default_factory=_unset)
    description: Description = Field(default_factory=_unset)
    metadata: Metadata = Field(default_factory=_unset)
    throttle: Throttle = Field(default_factory=_unset)
    concurrency: Concurrency = Field(default_factory=_unset)
    fifo: FifoKey = Field(default_factory=_unset)
    consumer: Consumer = Field(default_factory=_unset)
    status: WebhookEndpointStatus = Field(
        default_factory=_unset,
        description="`disabled` cancels what waits, `enabled` forgets past failures.",
    )

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class _Paging(QueryParameters):
    after: str | None = Field(None, max_length=100, description="Older than this cursor.")
    before: str | None = Field(None, max_length=100, description="Newer than this cursor.")
    limit: Limit = DEFAULT_LIMIT

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if self.after is not None and self.before is not None:
            raise ValueError("give `after` or `before`, not both")
        return self

    def place(self) -> dict[str, Any]:
        """Keyword arguments for the service."""
        return {
            "limit": self.limit,
            "after": cursors.decode_id(self.after, "after") if self.after is not None else None,
            "before": cursors.decode_id(self.before, "before") if self.before is not None else None,
        }


class WebhookEndpointListQuery(_Paging):
    consumer: str | None = Field(None, max_length=MAX_CONSUMER, description="Only endpoints of this customer of yours.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE


class WebhookDeliveryListQuery(_Paging):
    status: list[WebhookDeliveryStatus] = Field([], max_length=4, description="In this status; may be repeated.")


class _WebhookEndpoint(Resource):
    untagged: ClassVar[frozenset[str]] = frozenset({"health"})

    id: Annotated[str, typeid(Prefix.WEBHOOK_ENDPOINT)]
    url: str = Field(examples=["https://hooks.example.com/penguinmails"])
    destination: WebhookDestination
    events: list[str] = Field(examples=[["email.*"]])
    description: str | None = Field(examples=["Order service"])
    metadata: dict[str, str] = Field(examples=[{"team": "orders"}])
    status: WebhookEndpointStatus
    disabled_reason: str | None = Field(
        description="`manual`, `gone` (it answered 410) or `failing` (for five days); more may be added.",
        examples=["failing"],
    )
    failing_since: Timestamp | None = Field(description="When the first of the failures in a row happened.")
    consumer: str | None = Field(description="Which customer of yours it belongs to.", examples=["customer_42"])
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)] | None = Field(
        description="Only events of this workspace; null for all of the organization."
    )
    previous_secret_expires_at: Timestamp | None = Field(
        description="Until then requests are also signed with a secret from before; null: with the current one only."
    )
    filter: dict[str, Any] | None = Field(
        description="Only events for which it holds; null: all that `events` names.", examples=[{"data.tags": "order"}]
    )
    payload: WebhookPayload
    headers: dict[str, str] = Field(examples=[{"X-Environment": "production"}])
    secret_header_names: list[str] = Field(
        description="Headers whose values are not shown.", examples=[["Authorization"]]
    )
    signature: WebhookSignature
    public_key: PublicKey
    schema_version: int = Field(description="The newest version of the event catalogue that it gets.", examples=[1])
    client_certificate: WebhookClientCertificate | None = Field(description="Shown to receivers that ask; null: none.")
    throttle: WebhookThrottle | None = Field(description="The most requests in a period; null: no such limit.")
    concurrency: int | None = Field(description="The most requests at once; null: the server's limit.", examples=[4])
    fifo: WebhookFifo | None = Field(description="What events are kept in strict order by; null: nothing.")
    health: WebhookHealth
    created_at: Timestamp
    updated_at: Timestamp


def _columns(row: models.WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": ids.encode(Prefix.WEBHOOK_ENDPOINT, row.id),
        "url": row.url,
        **destination_of(row),
        "events": row.events,
        "description": row.description,
        "metadata": row.metadata_,
        "consumer": row.consumer,
        "status": WebhookEndpointStatus(row.status),
        "disabled_reason": row.disabled_reason,
        "failing_since": row.failing_since,
        "workspace_id": ids.encode(Prefix.WORKSPACE, row.workspace_id) if row.workspace_id else None,
        "previous_secret_expires_at": last_expiry(row),
        **request_of(row),
        **pace_of(row),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


class WebhookEndpoint(_WebhookEndpoint):
    """Where events are pushed to. The secret is not shown again; `rotate_secret` gives a new one."""

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self:
        return cls(**_columns(row))


class WebhookEndpointWithSecret(_WebhookEndpoint):
    """A webhook endpoint and its new secret. Keep the secret: it is shown this once."""

    secret: str | None = Field(
        description="Signs every request (Standard Webhooks). Null for `ed25519`, which is verified with `public_key`, "
        "and when this is a replay by Idempotency-Key: secrets are not stored with answers.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="],
    )

    @classmethod
    def of(cls, row: models.WebhookEndpoint, secret: str | None) -> Self:
        return cls(**_columns(row), secret=secret)


class WebhookEndpointList(Page[WebhookEndpoint]):
    """Webhook endpoints, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.WebhookEndpoint], has_more: bool, *, backwards: bool) -> Self:
        edge = (rows[0] if backwards else rows[-1]) if rows and has_more else None
        return cls(
            data=[WebhookEndpoint.of(row) for row in rows],
            has_more=has_more,
            next_cursor=cursors.encode_id(edge.id) if edge else None,
        )


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
        edge = (rows[0] if backwards else rows[-1]) if rows and has_more else None
        return cls(
            data=[WebhookDeliverySummary.of(row) for row in rows],
            has_more=has_more,
            next_cursor=cursors.encode_id(edge.event_id) if edge else None,
        )
