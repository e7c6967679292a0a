"""`oauthApps` and `oauthApp`."""

from __future__ import annotations

from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import apps, apps_repository
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.oauth_apps.types import OAuthApp
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of


def app_id_of(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.OAUTH_APP, node_id, "OAuth app")


async def self_registered(info: Info, app_id: UUID) -> models.OAuthApp | None:
    """It belongs to no organization, so it is not found in a tenant's transaction."""
    return await apps_repository.dynamic_app(info.context.services.database.worker, app_id)


@strawberry.type
class OAuthAppsQuery:
    @strawberry.field(description="OAuth apps of the organization, the newest first.")
    async def oauth_apps(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[OAuthApp]:
        caller, page = caller_of(info, Scope.OAUTH_APPS_READ), page_of(first, after, last, before)

        async def work(session: AsyncSession) -> tuple[list[models.OAuthApp], bool]:
            return await apps.list_apps(session, caller, limit=page.limit, after=page.after, before=page.before)

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, OAuthApp.of, lambda row: row.id)

    @strawberry.field(description="One of the organization, or one that registered itself, with what it asked for.")
    async def oauth_app(self, info: Info, id: strawberry.ID) -> OAuthApp:
        return await fetch_oauth_app(info, id)


async def fetch_oauth_app(info: Info, node_id: strawberry.ID) -> OAuthApp:
    caller, app_id = caller_of(info, Scope.OAUTH_APPS_READ), app_id_of(node_id)
    dynamic = await self_registered(info, app_id)

    async def work(session: AsyncSession) -> OAuthApp:
        app = dynamic or await apps.get(session, caller, app_id)
        return OAuthApp.of(app, await apps.is_approved(session, caller, app))

    return await info.context.read(work)
