"""`events`: the recoverable log, the oldest first; `event`: one of them."""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.events import service
from penguinmails_core.events.repository import EventFilter, EventRow, Position
from penguinmails_core.kit import cursors
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.events.types import Event
from penguinmails_graphql.relay import Connection, argument_id, connection_of, size_of, uuid_of
from penguinmails_webhooks.events import InvalidPatterns, validate_patterns


@strawberry.type
class EventsQuery:
    @strawberry.field(
        description="The event log in commit order, the oldest first. To follow it, pass the last `endCursor` as "
        "`after`: no event is skipped, and none comes twice. Kept for `eventRetentionDays` of the organization."
    )
    async def events(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        types: Annotated[
            list[str] | None, strawberry.argument(description="Only these; `email.*` stands for a family.")
        ] = None,
        workspace_id: strawberry.ID | None = None,
    ) -> Connection[Event]:
        caller, limit = caller_of(info, Scope.EVENTS_READ), size_of(first)
        caller = caller.inside(argument_id(Prefix.WORKSPACE, workspace_id, "/workspaceId"))
        wanted = EventFilter(types=_checked(types))
        place = Position(*cursors.decode_position(after, "after")) if after is not None else None

        async def work(session: AsyncSession) -> tuple[list[EventRow], bool]:
            if place is not None:
                await service.refuse_expired(session, caller, place.id)
            return await service.list_events(session, caller, wanted, after=place, limit=limit)

        rows, has_more = await info.context.read(work)
        marks = [cursors.encode_position(*Position.of(row)) for row in rows]
        return connection_of([Event.of(row) for row in rows], marks, has_more, place is not None)

    @strawberry.field(description="One event of the log.")
    async def event(self, info: Info, id: strawberry.ID) -> Event:
        return await fetch_event(info, id)


async def fetch_event(info: Info, node_id: strawberry.ID) -> Event:
    caller, event_id = caller_of(info, Scope.EVENTS_READ), uuid_of(Prefix.EVENT, node_id, "event")

    async def work(session: AsyncSession) -> EventRow:
        return await service.get_event(session, caller, event_id)

    return Event.of(await info.context.read(work))


def _checked(types: list[str] | None) -> list[str]:
    if not types:
        return []
    try:
        patterns = validate_patterns(types, pointer="/types")
    except InvalidPatterns as error:
        raise Unprocessable(error.errors[0].detail, errors=error.errors) from None
    if "*" in patterns:
        detail = "Leave `types` out to read all events."
        raise Unprocessable(detail, errors=[FieldError("/types", "not_allowed", detail)])
    return patterns
