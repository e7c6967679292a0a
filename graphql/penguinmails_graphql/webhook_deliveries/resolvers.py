"""`webhookDeliveries`, over all endpoints, and one of them by its id."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_deliveries import service
from penguinmails_core.webhook_deliveries.repository import Filter
from penguinmails_core.webhook_endpoints.service import Delivery
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, argument_id, bounded, connect, page_of, uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.webhook_endpoints.types import WebhookDelivery, WebhookDeliveryStatus
from penguinmails_webhooks.events import InvalidPatterns, validate_patterns

READ = Scope.WEBHOOK_ENDPOINTS_READ
_MOST = 50


@strawberry.input(description="All that is given must hold.")
class WebhookDeliveryFilterInput:
    status: list[WebhookDeliveryStatus] | None = None
    endpoint_id: strawberry.ID | None = None
    event_id: strawberry.ID | None = None
    email_id: strawberry.ID | None = strawberry.field(default=None, description="Of events about this email.")
    types: list[str] | None = strawberry.field(default=None, description="`email.*` stands for a family.")
    status_code: list[int] | None = strawberry.field(default=None, description="Of the last answer.")
    error: list[str] | None = strawberry.field(default=None, description="The word before the colon of `lastError`.")
    since: DateTime | None = None
    until: DateTime | None = None

    def to_filter(self) -> Filter:
        """Raises `Unprocessable` naming the fields."""
        for name in ("types", "status_code", "error"):
            bounded(getattr(self, name), _MOST, f"/filter/{name}")
        for code in self.status_code or ():
            if not 100 <= code <= 599:
                raise _fault("/filter/statusCode", "A status is 100 to 599.")
        for error in self.error or ():
            if not error.isascii() or not error.replace("_", "a").isalpha():
                raise _fault("/filter/error", "A reason is one word, such as `timeout`.")
        return Filter(
            statuses=[str(item) for item in self.status or ()],
            endpoint_id=argument_id(Prefix.WEBHOOK_ENDPOINT, self.endpoint_id, "/filter/endpointId"),
            event_id=argument_id(Prefix.EVENT, self.event_id, "/filter/eventId"),
            email_id=argument_id(Prefix.EMAIL, self.email_id, "/filter/emailId"),
            types=_checked(self.types),
            status_codes=self.status_code or (),
            errors=self.error or (),
            since=self.since,
            until=self.until,
        )


@strawberry.type
class WebhookDeliveriesQuery:
    @strawberry.field(description="To all endpoints, the newest first.")
    async def webhook_deliveries(
        self,
        info: Info,
        filter: WebhookDeliveryFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[WebhookDelivery]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)
        wanted = filter.to_filter() if filter is not None else Filter()

        async def work(session: AsyncSession) -> tuple[list[models.WebhookDelivery], bool]:
            return await service.search(session, caller, wanted, limit=page.limit, after=page.after, before=page.before)

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, WebhookDelivery.of, lambda row: row.id)

    @strawberry.field(description="One delivery, whichever endpoint it went to.")
    async def webhook_delivery_by_id(self, info: Info, id: strawberry.ID) -> WebhookDelivery:
        return await fetch_delivery(info, id)


async def fetch_delivery(info: Info, node_id: strawberry.ID) -> WebhookDelivery:
    caller, delivery_id = caller_of(info, READ), uuid_of(Prefix.WEBHOOK_DELIVERY, node_id, "delivery")

    async def work(session: AsyncSession) -> Delivery:
        return await service.get(session, caller, delivery_id)

    found = await info.context.read(work)
    return WebhookDelivery.of(found.row, list(found.attempts))


def _checked(types: list[str] | None) -> list[str]:
    if not types:
        return []
    try:
        return validate_patterns(types, pointer="/filter/types")
    except InvalidPatterns as error:
        raise Unprocessable(error.errors[0].detail, errors=error.errors) from None


def _fault(pointer: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(pointer, "invalid", detail)])
