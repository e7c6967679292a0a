"""`viewer`: a good first query, needs no scope."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.organizations import service
from penguinmails_graphql.context import Info
from penguinmails_graphql.viewer.types import Viewer


@strawberry.type
class ViewerQuery:
    @strawberry.field(description="Which organization, workspace and rights this request has. Needs no scope.")
    async def viewer(self, info: Info) -> Viewer:
        caller = info.context.principal

        async def work(session: AsyncSession) -> Viewer:
            return Viewer.of(caller, await service.identify(session, caller))

        return await info.context.read(work)
