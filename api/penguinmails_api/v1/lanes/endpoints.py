"""`/v1/lanes`: how mail leaves to each provider, what a lane did and why, and a pause of one's own mail."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.lanes.schemas import (
    Lane,
    LaneDecisionList,
    LaneIdInPath,
    LaneList,
    LaneListQuery,
    LanePause,
)
from penguinmails_core.kit.doorbell import MAIL
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/lanes", tags=["lanes"])
READ, WRITE = Scope.LANES_READ, Scope.LANES_WRITE
PauseBody = Annotated[LanePause, Body(default_factory=LanePause)]  # it may be left out


@router.get("", summary="List lanes", **operation("lanes_list", scope=READ, paginated=True))
async def list_lanes(context: Context, query: Annotated[LaneListQuery, Query()]) -> LaneList:
    """Lanes that the organization has mail in, the newest first. A lane is shared by everybody who sends from its
    source: you see what it may do now, and of counters your own. Test mode has none."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        page = await context.services.lanes.list_lanes(session, context.caller, **query.place())
    return LaneList.of(*page, backwards=query.backwards)


@router.get("/{lane_id}", summary="Get a lane", **operation("lanes_get", scope=READ))
async def get_lane(context: Context, lane_id: LaneIdInPath) -> Lane:
    """One lane."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Lane.of(await context.services.lanes.get(session, context.caller, lane_id))


@router.get(
    "/{lane_id}/decisions",
    summary="List what a lane did",
    **operation("lanes_decisions", scope=READ, paginated=True),
)
async def list_decisions(
    context: Context, lane_id: LaneIdInPath, query: Annotated[LaneListQuery, Query()]
) -> LaneDecisionList:
    """Each step with its rule, the limits before and after, and the provider's words where they answered your mail. The
    newest first."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        page = await context.services.lanes.decisions(session, context.caller, lane_id, **query.place())
    return LaneDecisionList.of(*page, backwards=query.backwards)


@router.post(
    "/{lane_id}/pause",
    summary="Pause your mail in a lane",
    response_model=Lane,
    **operation("lanes_pause", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def pause_lane(request: Request, lane_id: LaneIdInPath, body: PauseBody) -> Response:
    """Holds the organization's own mail back, from the next claim on; it stays queued until `resume`, or expires. Mail
    of others goes on."""
    context = get_context(request)

    async def work(session: AsyncSession) -> Lane:
        return Lane.of(await context.services.lanes.pause(session, context.caller, lane_id, body.note))

    return await answer_once(request, work)


@router.post(
    "/{lane_id}/resume",
    summary="Resume your mail in a lane",
    response_model=Lane,
    **operation("lanes_resume", scope=WRITE, idempotent=True),
)
async def resume_lane(request: Request, lane_id: LaneIdInPath) -> Response:
    """Lets what was held back leave, as fast as the lane may. It does not lift a pause of the lane itself."""
    context = get_context(request)

    async def work(session: AsyncSession) -> Lane:
        return Lane.of(await context.services.lanes.resume(session, context.caller, lane_id))

    return await answer_once(request, work, ring=(MAIL,))
