"""Take back what an app was let do."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import grants
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, fresh_caller_of
from penguinmails_graphql.oauth_grants.types import OAuthGrant
from penguinmails_graphql.relay import uuid_of


@strawberry.type(name="OAuthGrantPayload")
class OAuthGrantPayload:
    oauth_grant: OAuthGrant


@strawberry.type
class OAuthGrantsMutation:
    @strawberry.mutation(
        description="Every token of it ends. An app that acts by its own credentials can get new ones: delete it, or "
        "rotate its secret, to stop that."
    )
    async def revoke_oauth_grant(self, info: Info, id: strawberry.ID) -> OAuthGrantPayload | None:
        caller = await fresh_caller_of(info, Scope.OAUTH_APPS_WRITE)
        grant_id = uuid_of(Prefix.OAUTH_GRANT, id, "grant")

        async def work(session: AsyncSession) -> models.OAuthGrant:
            return await grants.revoke(session, caller, grant_id)

        return OAuthGrantPayload(oauth_grant=OAuthGrant.of(await info.context.write(work, TOKENS)))
