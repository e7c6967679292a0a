"""Where events are pushed to, and what became of each push."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models.webhook import HELD
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.secrets import last_expiry, secrets_of
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, Node, connect, page_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.webhook_endpoints.destination import WebhookDestination
from penguinmails_graphql.webhook_endpoints.loaders import attempts_loader
from penguinmails_graphql.webhook_endpoints.pace import WebhookFifo, WebhookHealth, WebhookThrottle
from penguinmails_graphql.webhook_endpoints.request import (
    WebhookClientCertificate,
    WebhookPayload,
    WebhookSecret,
    WebhookSignature,
    request_of,
)
from penguinmails_graphql.workspaces.loaders import workspace_of
from penguinmails_graphql.workspaces.types import Workspace


@strawberry.enum
class WebhookEndpointStatus(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


@strawberry.enum(description="`EXHAUSTED`: given up after the last attempt, or refused for good by the receiver.")
class WebhookDeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


@strawberry.type(description="Milliseconds of each part; null where there was none.")
class WebhookAttemptTiming:
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None


@strawberry.type
class WebhookAttempt(Node):
    number: int = strawberry.field(description="Counts from 1.")
    started_at: DateTime
    duration_ms: int
    status_code: int | None
    error: str | None
    response_body: str | None = strawberry.field(description="The first 2 KB of the answer, as text.")
    timing: WebhookAttemptTiming
    remote_address: str | None = strawberry.field(description="Whom it reached.")
    tls_version: str | None
    connection_reused: bool | None
    request_headers: JSON = strawberry.field(description="As they were sent; values that you have set are hidden.")
    response_headers: JSON

    @classmethod
    def of(cls, row: models.WebhookAttempt) -> Self:
        detail = row.detail or {}
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WEBHOOK_ATTEMPT, row.id)),
            number=row.number,
            started_at=DateTime(row.started_at),
            duration_ms=row.duration_ms,
            status_code=row.status_code,
            error=row.error,
            response_body=row.response_body,
            timing=WebhookAttemptTiming(
                **{name: detail.get(name) for name in ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms")}
            ),
            remote_address=detail.get("remote_address"),
            tls_version=detail.get("tls_version"),
            connection_reused=detail.get("reused"),
            request_headers=JSON(detail.get("request_headers", {})),
            response_headers=JSON(detail.get("response_headers", {})),
        )


@strawberry.type(description="One event owed to one endpoint.")
class WebhookDelivery(Node):
    endpoint_id: strawberry.ID
    event_id: strawberry.ID = strawberry.field(description="The `webhook-id` of every attempt.")
    event_type: str
    status: WebhookDeliveryStatus
    attempt_count: int
    next_attempt_at: DateTime | None
    fifo_key: str | None = strawberry.field(description="What it is kept in order by.")
    held: bool = strawberry.field(description="Whether it waits for an earlier delivery with the same `fifoKey`.")
    throttled_ms: int = strawberry.field(description="How long limits have held it back so far.")
    last_status_code: int | None
    last_error: str | None
    created_at: DateTime
    delivered_at: DateTime | None
    uuid: strawberry.Private[UUID]
    known: strawberry.Private[list[models.WebhookAttempt] | None] = None

    @strawberry.field(description="Every attempt, the first one first.")
    async def attempts(self, info: Info) -> list[WebhookAttempt]:
        caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
        rows = self.known if self.known is not None else await attempts_loader(info.context).load(self.uuid)
        return [WebhookAttempt.of(row) for row in rows]

    @classmethod
    def of(cls, row: models.WebhookDelivery, attempts: list[models.WebhookAttempt] | None = None) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WEBHOOK_DELIVERY, row.id)),
            endpoint_id=strawberry.ID(ids.encode(Prefix.WEBHOOK_ENDPOINT, row.endpoint_id)),
            event_id=strawberry.ID(ids.encode(Prefix.EVENT, row.event_id)),
            event_type=row.event_type,
            status=WebhookDeliveryStatus(row.status),
            attempt_count=row.attempts,
            next_attempt_at=DateTime(row.due_at) if row.due_at and row.due_at < HELD else None,
            fifo_key=row.fifo_key,
            held=row.due_at is not None and row.due_at >= HELD,
            throttled_ms=row.throttled_ms,
            last_status_code=row.last_status_code,
            last_error=row.last_error,
            created_at=DateTime(row.created_at),
            delivered_at=DateTime(row.delivered_at) if row.delivered_at else None,
            uuid=row.id,
            known=attempts,
        )


@strawberry.type(description="Where events are pushed to. The secret is shown when it is made, and never again.")
class WebhookEndpoint(Node):
    url: str
    destination: WebhookDestination
    events: list[str]
    description: str | None
    metadata: JSON
    consumer: str | None = strawberry.field(description="Which customer of yours it belongs to.")
    status: WebhookEndpointStatus
    disabled_reason: str | None
    failing_since: DateTime | None
    workspace_id: strawberry.ID | None
    previous_secret_expires_at: DateTime | None
    filter: JSON | None = strawberry.field(description="Only events for which this predicate holds; null: all.")
    payload: WebhookPayload
    headers: JSON
    secret_header_names: list[str] = strawberry.field(description="Headers whose values are not shown.")
    signature: WebhookSignature
    public_key: str | None = strawberry.field(description="What `v1a` signatures are verified with, of `ED25519`.")
    schema_version: int = strawberry.field(description="The newest version of the event catalogue that it gets.")
    client_certificate: WebhookClientCertificate | None
    throttle: WebhookThrottle | None
    concurrency: int | None = strawberry.field(description="The most requests at once; null: the server's limit.")
    fifo: WebhookFifo | None
    health: WebhookHealth
    created_at: DateTime
    updated_at: DateTime
    uuid: strawberry.Private[UUID]
    workspace_uuid: strawberry.Private[UUID | None]
    signers: strawberry.Private[list[WebhookSecret]]

    @strawberry.field(description="Which secrets sign at the moment, the current one first.")
    async def secrets(self, info: Info) -> list[WebhookSecret]:
        caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
        return self.signers

    @strawberry.field(description="What is or was owed to it, the newest event first.")
    async def deliveries(
        self,
        info: Info,
        status: Annotated[
            list[WebhookDeliveryStatus] | None, strawberry.argument(description="`EXHAUSTED` lists the dead letters.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[WebhookDelivery]:
        caller, page = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ), page_of(first, after, last, before)
        wanted = [str(item) for item in status or ()]

        async def work(session: AsyncSession) -> tuple[list[models.WebhookDelivery], bool]:
            return await info.context.endpoints().list_deliveries(
                session, caller, self.uuid, wanted, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, WebhookDelivery.of, lambda row: row.event_id)

    @strawberry.field(description="Needs `workspaces:read`; null when the caller may not see it.")
    async def workspace(self, info: Info) -> Workspace | None:
        return await workspace_of(info, self.workspace_uuid)

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self:
        expires = last_expiry(row)
        return cls(
            id=strawberry.ID(ids.encode(Prefix.WEBHOOK_ENDPOINT, row.id)),
            url=row.url,
            destination=WebhookDestination.of(row),
            events=row.events,
            description=row.description,
            metadata=JSON(row.metadata_),
            consumer=row.consumer,
            status=WebhookEndpointStatus(row.status),
            disabled_reason=row.disabled_reason,
            failing_since=DateTime(row.failing_since) if row.failing_since else None,
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)) if row.workspace_id else None,
            previous_secret_expires_at=DateTime(expires) if expires else None,
            **request_of(row),
            throttle=WebhookThrottle.of(row),
            concurrency=row.concurrency,
            fifo=WebhookFifo(row.fifo) if row.fifo else None,
            health=WebhookHealth.of(row),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
            uuid=row.id,
            workspace_uuid=row.workspace_id,
            signers=[WebhookSecret.of(facts) for facts in secrets_of(row)],
        )
