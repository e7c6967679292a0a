"""`eventTypes` and `eventType`: the catalogue, the same for everybody."""

from __future__ import annotations

import strawberry

from penguinmails_graphql.event_types.types import EventType, EventTypeAvailability
from penguinmails_webhooks import event_types


@strawberry.type
class EventTypesQuery:
    @strawberry.field(description="Everything that can happen, by family. Needs no scope.")
    async def event_types(self, availability: EventTypeAvailability | None = None) -> list[EventType]:
        found = event_types.event_types()
        return [EventType.of(facts) for facts in found if availability in (None, facts.availability)]

    @strawberry.field(description="One event type. Needs no scope.")
    async def event_type(self, name: str) -> EventType:
        return EventType.of(event_types.event_type(name))
