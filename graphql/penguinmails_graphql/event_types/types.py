"""The event catalogue."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry
from strawberry.scalars import JSON

from penguinmails_webhooks import event_types
from penguinmails_webhooks.event_types import EventTypeFacts


@strawberry.enum(description="`ANNOUNCED`: its feature is still to come, and it is not sent yet.")
class EventTypeAvailability(StrEnum):
    AVAILABLE = "available"
    ANNOUNCED = "announced"


@strawberry.type(description="Something that can happen.")
class EventType:
    name: str = strawberry.field(description="As in `type` of an event, and in `events` of an endpoint.")
    family: str = strawberry.field(description="The pattern that covers it and its like.")
    availability: EventTypeAvailability
    schema_version: int = strawberry.field(description="The newest one.")
    versions: list[int] = strawberry.field(description="All that an endpoint can be pinned to, the newest first.")
    description: str

    @strawberry.field(description="JSON Schema 2020-12 of the whole event as it is sent.")
    async def json_schema(self) -> JSON:
        return JSON(event_types.json_schema(self.name))

    @strawberry.field(description="A whole event.")
    async def example(self) -> JSON:
        return JSON(event_types.example(self.name))

    @classmethod
    def of(cls, facts: EventTypeFacts) -> Self:
        return cls(
            name=facts.name,
            family=facts.family,
            availability=EventTypeAvailability(facts.availability),
            schema_version=facts.schema_version,
            versions=list(facts.versions),
            description=facts.description,
        )
