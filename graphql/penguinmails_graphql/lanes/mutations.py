"""Hold one's own mail in a lane back, and let it go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.doorbell import MAIL
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.lanes.service import MAX_NOTE, LaneView
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.lanes.types import Lane
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import uuid_of


@strawberry.type
class LanePayload:
    lane: Lane


@strawberry.type
class LanesMutation:
    @strawberry.mutation(description="Hold the organization's own mail in a lane back. Mail of others goes on.")
    async def pause_lane(
        self, info: Info, id: strawberry.ID, note: str | None = None, idempotency_key: IdempotencyKey = None
    ) -> LanePayload | None:
        caller = caller_of(info, Scope.LANES_WRITE)
        lane_id = uuid_of(Prefix.LANE, id, "lane")
        if note is not None and (len(note) > MAX_NOTE or "\0" in note):
            detail = f"`note` may have at most {MAX_NOTE} characters and no NUL."
            raise Unprocessable(detail, errors=[FieldError("/note", "too_long", detail)])

        async def work(session: AsyncSession) -> LaneView:
            return await info.context.services.lanes.pause(session, caller, lane_id, note)

        return await _change(info, "pauseLane", id, {"id": str(id), "note": note}, idempotency_key, work)

    @strawberry.mutation(description="Let what was held back leave, as fast as the lane may.")
    async def resume_lane(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> LanePayload | None:
        caller = caller_of(info, Scope.LANES_WRITE)
        lane_id = uuid_of(Prefix.LANE, id, "lane")

        async def work(session: AsyncSession) -> LaneView:
            return await info.context.services.lanes.resume(session, caller, lane_id)

        return await _change(info, "resumeLane", id, {"id": str(id)}, idempotency_key, work)


async def _change(
    info: Info,
    mutation: str,
    node_id: strawberry.ID,
    asked: dict[str, Any],
    key: str | None,
    work: Callable[[AsyncSession], Awaitable[LaneView]],
) -> LanePayload:
    caller = caller_of(info, Scope.LANES_WRITE)
    lane_id = uuid_of(Prefix.LANE, node_id, "lane")

    async def load(session: AsyncSession, _: str) -> LaneView:
        return await info.context.services.lanes.get(session, caller, lane_id)

    view = await once(info.context, mutation, key, asked, work, MAIL, name=lambda _: str(node_id), load=load)
    return LanePayload(lane=Lane.of(view))
