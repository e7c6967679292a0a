"""`webhookSources`: where webhooks come from."""

from __future__ import annotations

import strawberry

from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of


@strawberry.type(description="The addresses that webhooks are sent from, for the firewalls of receivers.")
class WebhookSources:
    configured: bool = strawberry.field(description="False: the operator has not said, and any address may be one.")
    networks: list[str] = strawberry.field(description="In CIDR notation.")


@strawberry.type
class WebhookSourcesQuery:
    @strawberry.field(description="Where webhooks come from. Take no address for a proof: verify the signature.")
    async def webhook_sources(self, info: Info) -> WebhookSources:
        caller_of(info, Scope.WEBHOOK_ENDPOINTS_READ)
        networks = info.context.services.webhook_sources
        return WebhookSources(configured=bool(networks), networks=list(networks))
