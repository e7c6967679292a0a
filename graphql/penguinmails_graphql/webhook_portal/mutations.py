"""Make and revoke links into the webhook portal."""

from __future__ import annotations

from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_portal import service
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import argument_id, uuid_of
from penguinmails_graphql.webhook_portal.types import WebhookPortalColorScheme, WebhookPortalLink
from penguinmails_webhooks.portal import check_events, link_url

WRITE = Scope.WEBHOOK_ENDPOINTS_WRITE
Made = tuple[models.WebhookPortalLink, str | None]


@strawberry.input
class WebhookPortalThemeInput:
    name: str | None = strawberry.field(default=None, description="Whose pages they are, to the visitor.")
    accent_color: str | None = strawberry.field(default=None, description="As #rrggbb.")
    color_scheme: WebhookPortalColorScheme | None = None


@strawberry.input
class CreateWebhookPortalLinkInput:
    consumer: str = strawberry.field(description="Your own id of the customer that the link is for.")
    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only endpoints of this workspace, which get only its events."
    )
    events: list[str] | None = strawberry.field(default=None, description="What can be chosen from; null: `email.*`.")
    expires_in: int = strawberry.field(default=3600, description="Seconds, 60 to 604,800 (7 days).")
    read_only: bool = False
    theme: WebhookPortalThemeInput | None = None
    return_url: str | None = strawberry.field(default=None, description="Where the visitor goes back to: https.")
    frame_ancestors: list[str] | None = strawberry.field(
        default=None, description="Origins whose pages may show the portal in a frame."
    )

    def values(self) -> dict[str, Any]:
        theme = self.theme
        return {
            "consumer": self.consumer,
            "workspace_id": argument_id(Prefix.WORKSPACE, self.workspace_id, "/input/workspaceId"),
            "events": list(service.DEFAULT_EVENTS) if self.events is None else self.events,
            "expires_in": self.expires_in,
            "read_only": self.read_only,
            "theme": {"name": theme.name, "accent_color": theme.accent_color, "color_scheme": theme.color_scheme}
            if theme is not None
            else None,
            "return_url": self.return_url,
            "frame_ancestors": self.frame_ancestors or [],
        }


@strawberry.type(description="Whoever has the URL is let in. It is shown this once: null in a replay.")
class WebhookPortalLinkUrlPayload:
    webhook_portal_link: WebhookPortalLink
    url: str | None


@strawberry.type
class WebhookPortalLinkPayload:
    webhook_portal_link: WebhookPortalLink


@strawberry.type
class WebhookPortalMutation:
    @strawberry.mutation(description="A page where one of your customers manages webhook endpoints of their own.")
    async def create_webhook_portal_link(
        self, info: Info, input: CreateWebhookPortalLinkInput, idempotency_key: IdempotencyKey = None
    ) -> WebhookPortalLinkUrlPayload | None:
        caller = await fresh_caller_of(info, WRITE)
        info.context.endpoints()  # without keys for secrets there is no portal
        values = input.values()

        async def work(session: AsyncSession) -> Made:
            return await service.create(session, caller, values, check_events)

        async def load(session: AsyncSession, name: str) -> Made:
            return await service.get(session, caller, ids.decode(Prefix.WEBHOOK_PORTAL_LINK, name)), None

        link, token = await once(
            info.context, "createWebhookPortalLink", idempotency_key, values, work, name=_name_of, load=load
        )
        url = link_url(info.context.services.public.base, token) if token is not None else None
        return WebhookPortalLinkUrlPayload(webhook_portal_link=WebhookPortalLink.of(link), url=url)

    @strawberry.mutation(description="The link opens nothing any more, and whoever came by it can do nothing more.")
    async def revoke_webhook_portal_link(self, info: Info, id: strawberry.ID) -> WebhookPortalLinkPayload | None:
        caller, link_id = caller_of(info, WRITE), uuid_of(Prefix.WEBHOOK_PORTAL_LINK, id, "portal link")

        async def work(session: AsyncSession) -> models.WebhookPortalLink:
            return await service.revoke(session, caller, link_id)

        return WebhookPortalLinkPayload(webhook_portal_link=WebhookPortalLink.of(await info.context.write(work)))


def _name_of(made: Made) -> str:
    return ids.encode(Prefix.WEBHOOK_PORTAL_LINK, made[0].id)
