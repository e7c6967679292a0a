"""`webhookPortalLinks` and `webhookPortalLink`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_portal import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of
from penguinmails_graphql.webhook_portal.types import WebhookPortalLink


@strawberry.type
class WebhookPortalQuery:
    @strawberry.field(description="The newest first, ended ones too until 30 days after. `active`: whether they work.")
    async def webhook_portal_links(
        self,
        info: Info,
        consumer: str | None = None,
        active: bool | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[WebhookPortalLink]:
        caller, page = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ), page_of(first, after, last, before)

        async def work(session: AsyncSession) -> tuple[list[models.WebhookPortalLink], bool]:
            return await service.list_links(
                session,
                caller,
                consumer=consumer,
                active=active,
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, WebhookPortalLink.of, lambda row: row.id)

    @strawberry.field(description="One portal link, without its URL.")
    async def webhook_portal_link(self, info: Info, id: strawberry.ID) -> WebhookPortalLink:
        return await fetch_portal_link(info, id)


async def fetch_portal_link(info: Info, node_id: strawberry.ID) -> WebhookPortalLink:
    caller = caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
    link_id = uuid_of(Prefix.WEBHOOK_PORTAL_LINK, node_id, "portal link")

    async def work(session: AsyncSession) -> models.WebhookPortalLink:
        return await service.get(session, caller, link_id)

    return WebhookPortalLink.of(await info.context.read(work))
