"""`/v1/event_types`: the event catalogue, the same for everybody."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.event_types.schemas import EventType, EventTypeDetail, EventTypeListQuery, EventTypes
from penguinmails_webhooks import event_types

router = APIRouter(prefix="/v1/event_types", tags=["event_types"])
Name = Annotated[
    str,
    Path(
        max_length=100,
        pattern="^[a-z_]+([.][a-z_]+)+$",
        description="Its name, such as `email.delivered`.",
        examples=["email.delivered"],
    ),
]


@router.get("", summary="List event types", **operation("event_types_list"))
async def list_event_types(_: Context, query: Annotated[EventTypeListQuery, Query()]) -> EventTypes:
    """Everything that can happen, by family. Needs no scope. Events that are only announced can be subscribed to; they
    are sent once their feature is there."""
    found = [facts for facts in event_types.event_types() if query.availability in (None, facts.availability)]
    return EventTypes(data=[EventType.of(facts) for facts in found])


@router.get("/{event_type}", summary="Get an event type", **operation("event_types_get"))
async def get_event_type(_: Context, event_type: Name) -> EventTypeDetail:
    """One event type, with the JSON schema of the event as it is sent, and an example. Needs no scope."""
    return EventTypeDetail.of(event_types.event_type(event_type))
