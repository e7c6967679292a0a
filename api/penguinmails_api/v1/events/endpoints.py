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
    EventStreamQuery,
    LastEventId,
    render_event,
    render_events,
)
from penguinmails_api.v1.events.stream import MEDIA_TYPE, EventStream
from penguinmails_core.errors import NotFound
from penguinmails_core.events import service
from penguinmails_core.events.repository import EventFilter, Position
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/events", tags=["events"])
_STREAM = {
    MEDIA_TYPE: {
        "schema": {"type": "string"},
        "example": 'retry: 2000\nid: AgAAAAAAAAPp\nevent: stream.ready\ndata: {"after":"AgAAAAAAAAPp"}\n\n'
        'id: evt_01k5w8m3xjf2r9v0q4tz7h6cdh\ndata: {"id":"evt_01k5w8m3xjf2r9v0q4tz7h6cdh","type":"email.delivered"}\n\n'
        ": keep-alive\n\n",
    }
}


@router.get(
    "",
    summary="List events",
    response_model=EventList,
    **operation("events_list", scope=Scope.EVENTS_READ, errors=(410,), paginated=True),
)
async def list_events(context: Context, query: Annotated[EventListQuery, Query()]) -> Response:
    """The event log in commit order, the oldest first. To follow it, pass the id of the last event you handled as
    `after`: no event is ever skipped, and none comes twice. Events are kept for 30 days unless the organization
    says otherwise (`event_retention_days`); an `after` from before that is answered with `410 event_expired`."""
    caller = context.caller
    wanted = EventFilter(types=query.types, resource_ids=query.resource_uuids())
    async with context.services.database.tenant(caller.organization_id) as session:
        after = await read_position(session, caller, query.after)
        inside = caller.inside(query.workspace_id)
        page = await service.list_events(session, inside, wanted, after=after, limit=query.limit)
    return Response(render_events(*page), media_type="application/json")


@router.get(
    "/stream",
    summary="Follow the event log",
    status_code=200,
    response_class=EventStream,
    responses={200: {"description": "A stream of events, for as long as you listen.", "content": _STREAM}},
    **operation("events_stream", scope=Scope.EVENTS_READ, errors=(410,), extra={"x-sdk-internal": True}),
)
async def stream_events(
    context: Context, query: Annotated[EventStreamQuery, Query()], last_event_id: LastEventId = None
) -> EventStream:
    """Server-Sent Events, as browsers' `EventSource` and many libraries read them: each message has the event's id and
    as data the event itself, without line breaks. Messages of the stream itself have a name: `stream.ready` comes
    first, `stream.end` says why the server ends the stream. On a quiet line there is a comment every 15 seconds.

    Begins at the end of the log, or after `Last-Event-ID` or `after`. Reconnect with the id of the last message: no
    event is skipped and none comes twice. A stream ends when its key does, after an hour, or when the server restarts.
    A key may hold 10 streams open at once."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        place = await read_position(session, caller, last_event_id or query.after)
        place = place or await service.end_of_log(session)
    return EventStream(context, EventFilter(types=query.types, resource_ids=query.resource_uuids()), place)


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
        place = Position(*cursors.decode_position(after, "after"))
        await service.refuse_expired(session, caller, place.id)
        return place
    try:
        return await service.place_after(session, caller, ids.decode(Prefix.EVENT, after))
    except (ids.IdError, NotFound):
        raise cursors.bad_cursor("after", "`after` names no event. Leave it out to start at the oldest.") from None
