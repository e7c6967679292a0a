"""`/v1/webhook_replays`: what an endpoint has missed, sent once more; and how far that is."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.webhook_endpoints.schemas import EndpointIdInPath
from penguinmails_api.v1.webhook_replays.schemas import (
    ReplayIdInPath,
    WebhookReplay,
    WebhookReplayCreate,
    WebhookReplayList,
    WebhookReplayListQuery,
)
from penguinmails_core.kit.doorbell import REPLAYS
from penguinmails_core.scopes import Scope
from penguinmails_core.webhook_replays import service

router = APIRouter()
READ, WRITE = Scope.WEBHOOK_ENDPOINTS_READ, Scope.WEBHOOK_ENDPOINTS_WRITE


@router.post(
    "/v1/webhook_endpoints/{endpoint_id}/replay",
    summary="Send events once more",
    status_code=202,
    response_model=WebhookReplay,
    tags=["webhook_endpoints"],
    **operation("webhook_endpoints_replay", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def replay_endpoint(request: Request, endpoint_id: EndpointIdInPath, body: WebhookReplayCreate) -> Response:
    """After an outage: everything that the endpoint asks for and has not received is sent to it, in the order of the
    log, with the same `webhook-id`s; what it has received is not sent again. With `event_id` one event, with
    `only=failed` what was given up, with `only=all` everything. The answer says where to watch it."""
    context = get_context(request)
    wish = body.wish()

    async def work(session: AsyncSession) -> WebhookReplay:
        return WebhookReplay.of(await service.create(session, context.caller, endpoint_id, wish))

    return await answer_once(request, work, status=202, ring=(REPLAYS,))


@router.get(
    "/v1/webhook_replays",
    summary="List replays",
    tags=["webhook_replays"],
    **operation("webhook_replays_list", scope=READ, paginated=True),
)
async def list_replays(context: Context, query: Annotated[WebhookReplayListQuery, Query()]) -> WebhookReplayList:
    """The newest first. They are kept for 90 days after their end."""
    caller, endpoint_id = context.caller, query.endpoint()
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_replays(session, caller, endpoint_id, query.status, **query.place())
    return WebhookReplayList.of(*page, backwards=query.backwards)


@router.get(
    "/v1/webhook_replays/{replay_id}",
    summary="Get a replay",
    tags=["webhook_replays"],
    **operation("webhook_replays_get", scope=READ),
)
async def get_replay(context: Context, replay_id: ReplayIdInPath) -> WebhookReplay:
    """How far it is, and what became of what it sent."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return WebhookReplay.of(await service.get(session, context.caller, replay_id))


@router.post(
    "/v1/webhook_replays/{replay_id}/cancel",
    summary="Cancel a replay",
    response_model=WebhookReplay,
    tags=["webhook_replays"],
    **operation("webhook_replays_cancel", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def cancel_replay(request: Request, replay_id: ReplayIdInPath) -> Response:
    """Nothing more of it is sent, but for the few deliveries that are due already. Cancelling again changes nothing."""
    context = get_context(request)

    async def work(session: AsyncSession) -> WebhookReplay:
        return WebhookReplay.of(await service.cancel(session, context.caller, replay_id))

    return await answer_once(request, work)
