"""`/v1/inbound_messages`: what came in, what was rejected and why, what became of it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.common import read_id
from penguinmails_api.v1.inbound_messages.schemas import (
    InboundMessageDetail,
    InboundMessageList,
    InboundMessageListQuery,
    MessageIdInPath,
)
from penguinmails_core.kit.doorbell import INBOUND
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/inbound_messages", tags=["inbound"])
READ, WRITE = Scope.INBOUND_READ, Scope.INBOUND_WRITE


@router.get("", summary="List inbound messages", **operation("inbound_messages_list", scope=READ, paginated=True))
async def list_messages(context: Context, query: Annotated[InboundMessageListQuery, Query()]) -> InboundMessageList:
    """The newest first, without bodies. `status=rejected` shows what was not proven (ten a minute of each source are
    kept), `status=failed` the dead letters."""
    caller = context.caller
    source_id = read_id(Prefix.INBOUND_SOURCE, "inbound source", query.source_id) if query.source_id else None
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await context.services.inbound_sources.list_messages(
            session, caller, source_id=source_id, statuses=query.status, **query.place()
        )
    return InboundMessageList.of(*page, backwards=query.backwards)


@router.get("/{inbound_message_id}", summary="Get an inbound message", **operation("inbound_messages_get", scope=READ))
async def get_message(context: Context, inbound_message_id: MessageIdInPath) -> InboundMessageDetail:
    """One message with headers and body."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        row = await context.services.inbound_sources.get_message(session, context.caller, inbound_message_id)
        return InboundMessageDetail.of(row)


@router.post(
    "/{inbound_message_id}/replay",
    summary="Replay an inbound message",
    status_code=202,
    response_model=InboundMessageDetail,
    **operation("inbound_messages_replay", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def replay_message(request: Request, inbound_message_id: MessageIdInPath) -> Response:
    """Every integration that wants it gets it again, whatever became of it before. A rejected one is 409: it is not
    known who sent it."""
    context = get_context(request)

    async def work(session: AsyncSession) -> InboundMessageDetail:
        row = await context.services.inbound_sources.replay(session, context.caller, inbound_message_id)
        return InboundMessageDetail.of(row)

    return await answer_once(request, work, status=202, ring=(INBOUND,))
