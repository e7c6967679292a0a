"""Webhook endpoints as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import (
    Page,
    RequestBody,
    Resource,
    Timestamp,
    from_path,
    typeid,
)
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.paging import OF_WORKSPACE, PageQuery, WorkspaceFilter, next_cursor
from penguinmails_api.v1.webhook_endpoints.destination import Destination, WebhookDestination, destination_of
from penguinmails_api.v1.webhook_endpoints.pace import (
    Concurrency,
    FifoKey,
    Throttle,
    WebhookFifo,
    WebhookHealth,
    WebhookThrottle,
    pace_of,
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
from penguinmails_core.kit import ids
from penguinmails_core.kit.http_guard import MAX_URL
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_endpoints import checks
from penguinmails_core.webhook_endpoints.consumers import MAX_CONSUMER
from penguinmails_core.webhook_endpoints.secrets import last_expiry

EndpointIdInPath = Annotated[
    UUID, from_path(Prefix.WEBHOOK_ENDPOINT, "webhook endpoint"), typeid(Prefix.WEBHOOK_ENDPOINT)
]

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


class WebhookEndpointListQuery(PageQuery):
    consumer: str | None = Field(None, max_length=MAX_CONSUMER, description="Only endpoints of this customer of yours.")
    workspace_id: WorkspaceFilter = OF_WORKSPACE


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
        return cls(
            data=[WebhookEndpoint.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
