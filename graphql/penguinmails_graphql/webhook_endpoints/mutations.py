"""Make, change and delete webhook endpoints; try them; send again."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import WEBHOOKS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.service import Delivery
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, uuid_of
from penguinmails_graphql.scalars import DateTime, string_map
from penguinmails_graphql.webhook_endpoints.destination import WebhookDestinationInput, given_destination
from penguinmails_graphql.webhook_endpoints.doctor import WebhookTestResult, ask_of, test_now
from penguinmails_graphql.webhook_endpoints.pace import WebhookFifo, WebhookThrottleInput, given_pace
from penguinmails_graphql.webhook_endpoints.request import (
    WebhookClientCertificateInput,
    WebhookPayload,
    WebhookSignature,
    given_request,
)
from penguinmails_graphql.webhook_endpoints.types import WebhookDelivery, WebhookEndpoint, WebhookEndpointStatus

WRITE = Scope.WEBHOOK_ENDPOINTS_WRITE
Made = tuple[models.WebhookEndpoint, str | None]
Tested = tuple[UUID, UUID | None]


@strawberry.input
class CreateWebhookEndpointInput:
    url: str = strawberry.field(description="https, on a public host, without user name or password.")
    events: list[str] = strawberry.field(description="Exact names, families such as `email.*`, or `*` for all.")
    destination: WebhookDestinationInput | None = None
    description: str | None = None
    metadata: JSON | None = strawberry.field(default=None, description="An object of strings.")
    filter: JSON | None = strawberry.field(default=None, description="Only events for which this predicate holds.")
    payload: WebhookPayload = WebhookPayload.FULL
    headers: JSON | None = strawberry.field(default=None, description="An object of strings.")
    secret_headers: JSON | None = strawberry.field(default=None, description="As `headers`, and never shown again.")
    signature: WebhookSignature | None = None
    secret: str | None = strawberry.field(default=None, description="One of your own: `whsec_...` or `whsk_...`.")
    schema_version: int | None = None
    client_certificate: WebhookClientCertificateInput | None = None
    throttle: WebhookThrottleInput | None = None
    concurrency: int | None = None
    fifo: WebhookFifo | None = None
    consumer: str | None = strawberry.field(default=None, description="Which customer of yours it belongs to.")


@strawberry.input(
    description="Only what is given is changed; null empties `description`, `metadata` and headers, and ends limits, "
    "`filter` and `clientCertificate`."
)
class UpdateWebhookEndpointInput:
    id: strawberry.ID
    url: str | None = strawberry.UNSET
    destination: WebhookDestinationInput | None = strawberry.UNSET
    events: list[str] | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    metadata: JSON | None = strawberry.UNSET
    filter: JSON | None = strawberry.UNSET
    payload: WebhookPayload | None = strawberry.UNSET
    headers: JSON | None = strawberry.UNSET
    secret_headers: JSON | None = strawberry.UNSET
    schema_version: int | None = strawberry.UNSET
    client_certificate: WebhookClientCertificateInput | None = strawberry.UNSET
    throttle: WebhookThrottleInput | None = strawberry.UNSET
    concurrency: int | None = strawberry.UNSET
    fifo: WebhookFifo | None = strawberry.UNSET
    status: WebhookEndpointStatus | None = strawberry.UNSET
    consumer: str | None = strawberry.UNSET

    def changes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("url", "events", "status"):
            value = getattr(self, name)
            if value is not strawberry.UNSET and value is not None:
                found[name] = value
        for name in ("description", "consumer"):
            if getattr(self, name) is not strawberry.UNSET:
                found[name] = getattr(self, name)
        if self.metadata is not strawberry.UNSET:
            found["metadata"] = string_map(self.metadata, "metadata")
        return found | given_pace(self) | given_request(self) | given_destination(self)


@strawberry.type
class WebhookEndpointPayload:
    webhook_endpoint: WebhookEndpoint


@strawberry.type(description="Keep the secret: it is shown this once, and null in a replay by idempotency key.")
class WebhookEndpointSecretPayload:
    webhook_endpoint: WebhookEndpoint
    secret: str | None

    @classmethod
    def of(cls, made: Made) -> WebhookEndpointSecretPayload:
        return cls(webhook_endpoint=WebhookEndpoint.of(made[0]), secret=made[1])


@strawberry.type(description="A test that was queued (`deliveryId`), or one that was sent at once (`result`).")
class TestWebhookPayload:
    event_id: strawberry.ID
    delivery_id: strawberry.ID | None
    result: WebhookTestResult | None = strawberry.field(
        default=None, description="Of a test that was sent at once; null in a replay by idempotency key."
    )


@strawberry.type
class ResendWebhookDeliveriesPayload:
    resent: int = strawberry.field(description="At 10,000 there may be more: do it again.")


@strawberry.enum(description="How a delivery ended without having been received.")
class WebhookEndedStatus(StrEnum):
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


@strawberry.type
class WebhookDeliveryPayload:
    webhook_delivery: WebhookDelivery


def _endpoint_id(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.WEBHOOK_ENDPOINT, node_id, "webhook endpoint")


@strawberry.type
class WebhookEndpointsMutation:
    @strawberry.mutation(description="From now on, events are POSTed to `url`, signed with `secret`.")
    async def create_webhook_endpoint(
        self,
        info: Info,
        input: CreateWebhookEndpointInput,
        idempotency_key: IdempotencyKey = None,
    ) -> WebhookEndpointSecretPayload | None:
        caller, service = caller_of(info, WRITE), info.context.endpoints()
        asked: dict[str, Any] = {
            "url": input.url,
            "events": input.events,
            "description": input.description,
            "metadata": string_map(input.metadata, "metadata"),
            "consumer": input.consumer,
            "signature": str(input.signature) if input.signature else None,
            "secret": input.secret,
            **given_pace(input),
            **given_request(input),
            **given_destination(input),
        }

        async def work(session: AsyncSession) -> Made:
            return await service.create(session, caller, **asked)

        async def load(session: AsyncSession, name: str) -> Made:
            return await service.get(session, caller, ids.decode(Prefix.WEBHOOK_ENDPOINT, name)), None

        made = await once(
            info.context, "createWebhookEndpoint", idempotency_key, asked, work, name=_name_of_made, load=load
        )
        return WebhookEndpointSecretPayload.of(made)

    @strawberry.mutation(description="Disabling cancels the deliveries that wait; each can be resent later.")
    async def update_webhook_endpoint(
        self,
        info: Info,
        input: UpdateWebhookEndpointInput,
    ) -> WebhookEndpointPayload | None:
        caller, endpoint_id, changes = caller_of(info, WRITE), _endpoint_id(input.id), input.changes()

        async def work(session: AsyncSession) -> models.WebhookEndpoint:
            return await info.context.endpoints().update(session, caller, endpoint_id, changes)

        return WebhookEndpointPayload(webhook_endpoint=WebhookEndpoint.of(await info.context.write(work)))

    @strawberry.mutation(description="Nothing more is sent to it, what waits is cancelled.")
    async def delete_webhook_endpoint(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller, endpoint_id = await fresh_caller_of(info, WRITE), _endpoint_id(id)

        async def work(session: AsyncSession) -> None:
            await info.context.endpoints().delete(session, caller, endpoint_id)

        await info.context.write(work)
        return DeletedPayload(id=id)

    @strawberry.mutation(description="A new secret, or one of your own; for a while requests carry signatures of both.")
    async def rotate_webhook_secret(
        self,
        info: Info,
        id: strawberry.ID,
        secret: str | None = None,
        signature: WebhookSignature | None = None,
        overlap_seconds: Annotated[int, strawberry.argument(description="At most 604800; 0 ends it at once.")] = 86400,
        idempotency_key: IdempotencyKey = None,
    ) -> WebhookEndpointSecretPayload | None:
        caller, endpoint_id = await fresh_caller_of(info, WRITE), _endpoint_id(id)
        service, kind = info.context.endpoints(), str(signature) if signature else None

        async def work(session: AsyncSession) -> Made:
            overlap = timedelta(seconds=overlap_seconds)
            return await service.rotate_secret(
                session, caller, endpoint_id, signature=kind, secret=secret, overlap=overlap
            )

        async def load(session: AsyncSession, _: str) -> Made:
            return await service.get(session, caller, endpoint_id), None

        made = await once(
            info.context,
            "rotateWebhookSecret",
            idempotency_key,
            {"id": str(id), "secret": secret, "signature": kind, "overlap_seconds": overlap_seconds},
            work,
            name=_name_of_made,
            load=load,
        )
        return WebhookEndpointSecretPayload.of(made)

    @strawberry.mutation(description="An old secret signs no more from the next request on.")
    async def end_webhook_secret(
        self, info: Info, endpoint_id: strawberry.ID, id: strawberry.ID
    ) -> DeletedPayload | None:
        caller, endpoint = await fresh_caller_of(info, WRITE), _endpoint_id(endpoint_id)
        secret_id = uuid_of(Prefix.WEBHOOK_SECRET, id, "secret of this webhook endpoint")

        async def work(session: AsyncSession) -> None:
            await info.context.endpoints().end_secret(session, caller, endpoint, secret_id)

        await info.context.write(work)
        return DeletedPayload(id=id)

    @strawberry.mutation(
        description="Queue a `webhook.test` event to this endpoint only; or, with `eventType`, `eventId` or `data`, "
        "send a signed test at once and say what happened. Nothing of that is recorded."
    )
    async def test_webhook_endpoint(
        self,
        info: Info,
        id: strawberry.ID,
        event_type: str | None = None,
        event_id: strawberry.ID | None = None,
        data: JSON | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> TestWebhookPayload | None:
        caller = caller_of(info, WRITE)
        await info.context.admit("webhook_endpoints_test")
        endpoint_id, ask = _endpoint_id(id), ask_of(event_type, event_id, data)
        tested = None if ask.empty else await test_now(info, caller, endpoint_id, ask)

        async def work(session: AsyncSession) -> Tested:
            if tested is not None:
                return tested[0].event_id, None
            return await info.context.endpoints().send_test(session, caller, endpoint_id)

        async def load(_: AsyncSession, name: str) -> Tested:
            parts = [UUID(part) for part in name.split()]
            return parts[0], parts[1] if len(parts) > 1 else None

        sent_id, delivery_id = await once(
            info.context,
            "testWebhookEndpoint",
            idempotency_key,
            {"id": str(id)} | ({} if ask.empty else {"type": event_type, "event": event_id, "data": data}),
            work,
            WEBHOOKS,
            name=lambda made: f"{made[0]} {made[1] or ''}".strip(),
            load=load,
        )
        known = tested if tested is not None and tested[0].event_id == sent_id else None  # else it is a replay
        return TestWebhookPayload(
            event_id=strawberry.ID(ids.encode(Prefix.EVENT, sent_id)),
            delivery_id=strawberry.ID(ids.encode(Prefix.WEBHOOK_DELIVERY, delivery_id)) if delivery_id else None,
            result=WebhookTestResult.of(*known) if known else None,
        )

    @strawberry.mutation(description="Due at once, whatever became of it, with the same `webhook-id`.")
    async def resend_webhook_delivery(
        self,
        info: Info,
        endpoint_id: strawberry.ID,
        id: strawberry.ID,
        idempotency_key: IdempotencyKey = None,
    ) -> WebhookDeliveryPayload | None:
        caller, endpoint = caller_of(info, WRITE), _endpoint_id(endpoint_id)
        delivery_id = uuid_of(Prefix.WEBHOOK_DELIVERY, id, "delivery")

        async def work(session: AsyncSession) -> Delivery:
            return await info.context.endpoints().resend(session, caller, endpoint, delivery_id)

        async def load(session: AsyncSession, _: str) -> Delivery:
            return await info.context.endpoints().get_delivery(session, caller, endpoint, delivery_id)

        found = await once(
            info.context,
            "resendWebhookDelivery",
            idempotency_key,
            {"endpoint_id": str(endpoint_id), "id": str(id)},
            work,
            WEBHOOKS,
            name=lambda _: str(id),
            load=load,
        )
        return WebhookDeliveryPayload(webhook_delivery=WebhookDelivery.of(found.row, list(found.attempts)))

    @strawberry.mutation(
        description="After an outage: all that ended so is due at once, the oldest events first, up to 10,000."
    )
    async def resend_webhook_deliveries(
        self,
        info: Info,
        endpoint_id: strawberry.ID,
        status: Annotated[
            list[WebhookEndedStatus] | None, strawberry.argument(description="Left out: `EXHAUSTED`.")
        ] = None,
        since: Annotated[
            DateTime | None, strawberry.argument(description="Of events at this time or later; left out: all.")
        ] = None,
        idempotency_key: IdempotencyKey = None,
    ) -> ResendWebhookDeliveriesPayload | None:
        caller, endpoint = caller_of(info, WRITE), _endpoint_id(endpoint_id)
        statuses = sorted({str(item) for item in status or (WebhookEndedStatus.EXHAUSTED,)})

        async def work(session: AsyncSession) -> int:
            return await info.context.endpoints().resend_all(session, caller, endpoint, statuses, since)

        async def load(_: AsyncSession, name: str) -> int:
            return int(name)

        asked = {"endpoint_id": str(endpoint_id), "status": statuses, "since": since}
        resent = await once(
            info.context, "resendWebhookDeliveries", idempotency_key, asked, work, WEBHOOKS, name=str, load=load
        )
        return ResendWebhookDeliveriesPayload(resent=resent)


def _name_of_made(made: Made) -> str:
    return ids.encode(Prefix.WEBHOOK_ENDPOINT, made[0].id)
