"""`webhookEndpoints` and `webhookEndpoint`."""

from __future__ import annotations

from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.events import service as events
from penguinmails_core.events.repository import EventRow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_endpoints.service import Delivery
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, argument_id, connect, page_of, uuid_of
from penguinmails_graphql.webhook_endpoints.request import WebhookFilterResult
from penguinmails_graphql.webhook_endpoints.types import WebhookDelivery, WebhookEndpoint
from penguinmails_webhooks.events import document
from penguinmails_webhooks.filter_trial import only_one, sample, try_filter


@strawberry.type
class WebhookEndpointsQuery:
    @strawberry.field(description="The newest first, disabled ones too.")
    async def webhook_endpoints(
        self,
        info: Info,
        consumer: str | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        workspace_id: strawberry.ID | None = None,
    ) -> Connection[WebhookEndpoint]:
        caller, page = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ), page_of(first, after, last, before)
        caller = caller.inside(argument_id(Prefix.WORKSPACE, workspace_id, "/workspaceId"))

        async def work(session: AsyncSession) -> tuple[list[models.WebhookEndpoint], bool]:
            return await info.context.endpoints().list_endpoints(
                session, caller, consumer=consumer, limit=page.limit, after=page.after, before=page.before
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, WebhookEndpoint.of, lambda row: row.id)

    @strawberry.field(description="One endpoint.")
    async def webhook_endpoint(self, info: Info, id: strawberry.ID) -> WebhookEndpoint:
        return await fetch_endpoint(info, id)

    @strawberry.field(
        description="Whether an event would pass a payload filter, and why. The event is one of the log (`eventId`, "
        "needs `events:read`), the catalogue's example (`eventType`), or one of your own (`event`)."
    )
    async def test_webhook_filter(
        self,
        info: Info,
        filter: JSON,
        event_id: strawberry.ID | None = None,
        event_type: str | None = None,
        event: JSON | None = None,
    ) -> WebhookFilterResult:
        caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
        only_one(event_id=event_id, event_type=event_type, event=event)
        if event_id is not None:
            caller, wanted = caller_of(info, Scope.EVENTS_READ), uuid_of(Prefix.EVENT, event_id, "event")

            async def work(session: AsyncSession) -> EventRow:
                return await events.get_event(session, caller, wanted)

            shown: Any = document(await info.context.read(work))
        else:
            shown = sample(event_type) if event_type is not None else event
        return WebhookFilterResult.of(try_filter(filter, shown))

    @strawberry.field(description="One delivery of an endpoint.")
    async def webhook_delivery(
        self,
        info: Info,
        endpoint_id: strawberry.ID,
        id: strawberry.ID,
    ) -> WebhookDelivery:
        caller = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
        endpoint = uuid_of(Prefix.WEBHOOK_ENDPOINT, endpoint_id, "webhook endpoint")
        delivery = uuid_of(Prefix.WEBHOOK_DELIVERY, id, "delivery")

        async def work(session: AsyncSession) -> Delivery:
            return await info.context.endpoints().get_delivery(session, caller, endpoint, delivery)

        found = await info.context.read(work)
        return WebhookDelivery.of(found.row, list(found.attempts))


async def fetch_endpoint(info: Info, node_id: strawberry.ID) -> WebhookEndpoint:
    caller = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
    endpoint_id = uuid_of(Prefix.WEBHOOK_ENDPOINT, node_id, "webhook endpoint")

    async def work(session: AsyncSession) -> models.WebhookEndpoint:
        return await info.context.endpoints().get(session, caller, endpoint_id)

    return WebhookEndpoint.of(await info.context.read(work))
