"""The event log as the API shows it."""

from collections.abc import Sequence
from typing import Annotated, Any, Union
from uuid import UUID

import orjson
from fastapi import Header
from pydantic import BaseModel, BeforeValidator, Field, RootModel, model_serializer

from penguinmails_api.v1.common import (
    DEFAULT_LIMIT,
    Limit,
    Page,
    QueryParameters,
    from_path,
    typeid,
)
from penguinmails_api.v1.paging import OF_WORKSPACE, WorkspaceFilter
from penguinmails_core.events.repository import EventRow, Position
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_webhooks.events import CATALOGUE, RESOURCES, envelope_model, known_patterns, render

EventIdInPath = Annotated[UUID, from_path(Prefix.EVENT, "event"), typeid(Prefix.EVENT)]


def _event_type(value: Any) -> Any:
    if value not in known_patterns():
        raise ValueError(f"there is no event type {value!r}; there are {', '.join(known_patterns())}")
    return value


def _any_id(value: Any) -> Any:
    for prefix in set(RESOURCES.values()):
        if str(value).startswith(prefix + "_"):
            ids.decode(prefix, str(value))
            return value
    raise ValueError(
        "give the `resource_id` of an event: " + ", ".join(f"{p}_..." for p in sorted(set(RESOURCES.values())))
    )


EventTypes = list[Annotated[str, Field(max_length=100), BeforeValidator(_event_type)]]


class _Wanted(QueryParameters):
    types: EventTypes = Field(
        [], max_length=50, description="Only these; may be repeated. `email.*` stands for a whole family."
    )
    resource_id: Annotated[str, Field(max_length=50), BeforeValidator(_any_id)] | None = Field(
        None, description="Only events with this `resource_id`: a recipient, domain, suppression, endpoint, key."
    )

    def resource_uuids(self) -> list[UUID] | None:
        if self.resource_id is None:
            return None
        return [ids.decode(self.resource_id.partition("_")[0], self.resource_id)]


class EventListQuery(_Wanted):
    after: str | None = Field(
        None,
        max_length=100,
        description="The `next_cursor` of the page before, or the id of the last event you have (`evt_...`).",
    )
    limit: Limit = DEFAULT_LIMIT
    workspace_id: WorkspaceFilter = OF_WORKSPACE


class EventStreamQuery(_Wanted):
    after: str | None = Field(
        None,
        max_length=100,
        description="Begin after this event id (`evt_...`) or cursor. `Last-Event-ID`, which clients send when they "
        "reconnect, goes before it.",
    )


LastEventId = Annotated[
    str | None,
    Header(max_length=100, description="The id of the last message that came; browsers send it when they reconnect."),
]


class EmailEventListQuery(QueryParameters):
    after: str | None = Field(None, max_length=100, description="The `next_cursor` of the page before.")
    limit: Limit = DEFAULT_LIMIT


_Envelope = Annotated[Union[*map(envelope_model, CATALOGUE)], Field(discriminator="type")]  # type: ignore[valid-type]


class Event(RootModel[_Envelope]):  # type: ignore[valid-type]
    """Something that happened: the very body that webhooks get, so both can share a handler and be deduplicated by id.
    `sequence` counts the events of one resource from 1 and is its true order."""

    @model_serializer(mode="wrap")
    def _as_it_was_sent(self, handler):  # type: ignore[no-untyped-def]  # an annotation would hide the schema
        """Inside of another answer, too: no member that the event did not have when it was written."""
        root: BaseModel = self.root
        return root.model_dump(mode="json", by_alias=True, exclude_unset=True)


class EventList(Page[Event]):
    """Events in the order in which they were committed, the oldest first."""


def render_event(row: EventRow) -> bytes:
    return render(row)


def render_events(rows: Sequence[EventRow], has_more: bool) -> bytes:
    """An `EventList`, put together from rendered events: no model is built for each of them."""
    cursor = cursors.encode_position(*Position.of(rows[-1])) if rows and has_more else None
    data = [orjson.Fragment(render(row)) for row in rows]
    return orjson.dumps({"data": data, "has_more": has_more, "next_cursor": cursor})
