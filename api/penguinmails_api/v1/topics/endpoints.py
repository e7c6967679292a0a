"""`/v1/topics`: what people can choose on the preference page."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.topics.schemas import Topic, TopicCreate, TopicIdInPath, TopicList, TopicListQuery, TopicUpdate
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.topics import service

router = APIRouter(prefix="/v1/topics", tags=["topics"])
READ, WRITE = Scope.SUPPRESSIONS_READ, Scope.SUPPRESSIONS_WRITE


@router.post(
    "",
    summary="Create a topic",
    status_code=201,
    response_model=Topic,
    **operation("topics_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_topic(request: Request, body: TopicCreate) -> Response:
    """Gives a list a name that people read. Messages name the list in `unsubscribe.list`; they need no topic for it. At
    most 100; 409 for a list that has one."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Topic:
        return Topic.of(await service.create(session, caller, body.model_dump()))

    return await answer_once(request, work, status=201)


@router.get("", summary="List topics", **operation("topics_list", scope=READ, paginated=True))
async def list_topics(context: Context, query: Annotated[TopicListQuery, Query()]) -> TopicList:
    """The newest first."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_topics(session, caller, **query.place())
    return TopicList.of(*page, backwards=query.backwards)


@router.get("/{topic_id}", summary="Get a topic", **operation("topics_get", scope=READ))
async def get_topic(context: Context, topic_id: TopicIdInPath) -> Topic:
    """One topic."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Topic.of(await service.get(session, context.caller, topic_id))


async def _current(session: AsyncSession, caller: Principal, topic_id: UUID) -> Topic:
    """As GET shows it, and nobody else changes it meanwhile."""
    return Topic.of(await service.get(session, caller, topic_id, lock=True))


@router.patch(
    "/{topic_id}",
    summary="Change a topic",
    **operation("topics_update", scope=WRITE, errors=(413, 415), if_match=True),
)
async def update_topic(context: Context, topic_id: TopicIdInPath, body: TopicUpdate) -> Topic:
    """Name, description, and to whom it is offered."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, caller, topic_id))
        return Topic.of(await service.update(session, caller, topic_id, body.given()))


@router.delete(
    "/{topic_id}",
    summary="Delete a topic",
    status_code=204,
    **operation("topics_delete", scope=WRITE, if_match=True),
)
async def delete_topic(context: Context, topic_id: TopicIdInPath) -> None:
    """The list loses its name for people. Whoever left it stays off it."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, caller, topic_id))
        await service.delete(session, caller, topic_id)
