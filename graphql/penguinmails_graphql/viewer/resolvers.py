"""`viewer`: a good first query, needs no scope."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Unauthenticated
from penguinmails_core.organizations import repository
from penguinmails_graphql.context import Info
from penguinmails_graphql.viewer.types import Viewer


@strawberry.type
class ViewerQuery:
    @strawberry.field(description="Which organization, workspace and rights this request has. Needs no scope.")
    async def viewer(self, info: Info) -> Viewer:
        caller = info.context.principal

        async def work(session: AsyncSession) -> Viewer:
            organization = await repository.get(session, caller.organization_id)
            workspace = await repository.get_workspace(session, caller.organization_id, caller.target_workspace_id)
            if organization is None or workspace is None:
                raise Unauthenticated("This credential was removed a moment ago.")
            return Viewer.of(caller, organization, workspace)

        return await info.context.read(work)
