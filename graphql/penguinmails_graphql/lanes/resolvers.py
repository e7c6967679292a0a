"""`lanes` and `lane`."""

from __future__ import annotations

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.ids import Prefix
from penguinmails_core.lanes.service import LaneView
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.lanes.types import Lane
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of


@strawberry.type
class LanesQuery:
    @strawberry.field(description="Lanes that the organization has mail in, the newest first.")
    async def lanes(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Lane]:
        caller, page = caller_of(info, Scope.LANES_READ), page_of(first, after, last, before)

        async def work(session: AsyncSession) -> tuple[list[LaneView], bool]:
            return await info.context.services.lanes.list_lanes(
                session, caller, limit=page.limit, after=page.after, before=page.before
            )

        views, has_more = await info.context.read(work)
        return connect(page, views, has_more, Lane.of, lambda view: view.id)

    @strawberry.field(description="One lane.")
    async def lane(self, info: Info, id: strawberry.ID) -> Lane:
        return await fetch_lane(info, id)


async def fetch_lane(info: Info, node_id: strawberry.ID) -> Lane:
    caller = caller_of(info, Scope.LANES_READ)
    lane_id = uuid_of(Prefix.LANE, node_id, "lane")

    async def work(session: AsyncSession) -> LaneView:
        return await info.context.services.lanes.get(session, caller, lane_id)

    return Lane.of(await info.context.read(work))
