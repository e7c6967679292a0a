"""`/v1/events`: the recoverable log. What webhooks push can be pulled here, from any point on."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.events.schemas import (
    Event,
    EventIdInPath,
    EventList,
    EventListQuery,
    render_event,
    render_events,
)
from penguinmails_core.errors import NotFound
from penguinmails_core.events import service
from penguinmails_core.events.repository import EventFilter, Position
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.get(
    "",
    summary="List events",
    response_model=EventList,
    **operation("events_list", scope=Scope.EVENTS_READ, paginated=True),
)
async def list_events(context: Context, query: Annotated[EventListQuery, Query()]) -> Response:
    """The event log in commit order, the oldest first. To follow it, pass the id of the last event you handled as
    `after`: no event is ever skipped, and none comes twice. Events are kept for 30 days."""
    caller = context.caller
    wanted = EventFilter(types=query.types, resource_ids=query.resource_uuids())
    async with context.services.database.tenant(caller.organization_id) as session:
        after = await read_position(session, caller, query.after)
        page = await service.list_events(session, caller, wanted, after=after, limit=query.limit)
    return Response(render_events(*page), media_type="application/json")


@router.get(
    "/{event_id}",
    summary="Get an event",
    response_model=Event,
    **operation("events_get", scope=Scope.EVENTS_READ),
)
async def get_event(context: Context, event_id: EventIdInPath) -> Response:
    """One event of the log."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        event = await service.get_event(session, caller, event_id)
    return Response(render_event(event), media_type="application/json")


async def read_position(session: AsyncSession, caller: Principal, after: str | None) -> Position | None:
    """Where to go on: after a cursor, or after an event that is named by its id."""
    if after is None:
        return None
    if not after.startswith(Prefix.EVENT + "_"):
        return Position(*cursors.decode_position(after, "after"))
    try:
        event = await service.get_event(session, caller, ids.decode(Prefix.EVENT, after))
    except (ids.IdError, NotFound):
        raise cursors.bad_cursor(
            "after", "`after` names no event that is still kept (30 days). Leave it out to start at the oldest."
        ) from None
    return Position.of(event)
