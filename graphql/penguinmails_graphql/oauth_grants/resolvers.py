"""`oauthGrants` and `oauthGrant`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import grants
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.oauth_grants.types import OAuthGrant, OAuthGrantStatus
from penguinmails_graphql.relay import Connection, argument_id, connect, page_of, uuid_of


@strawberry.input(name="OAuthGrantFilterInput", description="All that are given must match.")
class OAuthGrantFilterInput:
    oauth_app_id: strawberry.ID | None = None
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Only those that this person gave.")
    status: OAuthGrantStatus | None = None


@strawberry.type
class OAuthGrantsQuery:
    @strawberry.field(description="What apps were let do, the newest first, revoked ones too until 90 days after.")
    async def oauth_grants(
        self,
        info: Info,
        filter: OAuthGrantFilterInput | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[OAuthGrant]:
        caller, page = caller_of(info, Scope.OAUTH_APPS_READ), page_of(first, after, last, before)
        wanted = filter or OAuthGrantFilterInput()
        app_id = argument_id(Prefix.OAUTH_APP, wanted.oauth_app_id, "/filter/oauthAppId")
        user_id = argument_id(Prefix.USER, wanted.user_id, "/filter/userId")
        active = None if wanted.status is None else wanted.status is OAuthGrantStatus.ACTIVE

        async def work(session: AsyncSession) -> tuple[list[models.OAuthGrant], bool]:
            return await grants.list_grants(
                session,
                caller,
                app_id=app_id,
                user_id=user_id,
                active=active,
                limit=page.limit,
                after=page.after,
                before=page.before,
            )

        rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, OAuthGrant.of, lambda row: row.id)

    @strawberry.field(description="One grant, with the reason when it was revoked.")
    async def oauth_grant(self, info: Info, id: strawberry.ID) -> OAuthGrant:
        return await fetch_oauth_grant(info, id)


async def fetch_oauth_grant(info: Info, node_id: strawberry.ID) -> OAuthGrant:
    caller, grant_id = caller_of(info, Scope.OAUTH_APPS_READ), uuid_of(Prefix.OAUTH_GRANT, node_id, "grant")

    async def work(session: AsyncSession) -> models.OAuthGrant:
        return await grants.get(session, caller, grant_id)

    return OAuthGrant.of(await info.context.read(work))
