"""The event catalogue as the API shows it."""

from enum import StrEnum
from typing import Any, Self

from pydantic import Field

from penguinmails_api.v1.common import QueryParameters, Resource
from penguinmails_webhooks import event_types
from penguinmails_webhooks.event_types import EventTypeFacts


class EventTypeAvailability(StrEnum):
    """`announced`: its feature is still to come, and it is not sent yet."""

    AVAILABLE = "available"
    ANNOUNCED = "announced"


class EventTypeListQuery(QueryParameters):
    availability: EventTypeAvailability | None = Field(None, description="Only these; left out: all.")


class _EventType(Resource):
    name: str = Field(description="As in `type` of an event, and in `events` of an endpoint.", examples=["email.sent"])
    family: str = Field(description="The pattern that covers it and its like.", examples=["email.*"])
    availability: EventTypeAvailability
    schema_version: int = Field(description="The newest one.", examples=[1])
    versions: list[int] = Field(description="All that an endpoint can be pinned to, the newest first.", examples=[[1]])
    description: str = Field(examples=["The recipient's mail server accepted the message."])


def _members(facts: EventTypeFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "family": facts.family,
        "availability": EventTypeAvailability(facts.availability),
        "schema_version": facts.schema_version,
        "versions": list(facts.versions),
        "description": facts.description,
    }


class EventType(_EventType):
    """Something that can happen."""

    @classmethod
    def of(cls, facts: EventTypeFacts) -> Self:
        return cls(**_members(facts))


class EventTypeDetail(_EventType):
    """Something that can happen, and what is said of it then."""

    json_schema: dict[str, Any] = Field(
        description="JSON Schema 2020-12 of the whole event as it is sent. Fields may be added: pass over those that "
        "you do not know.",
        examples=[{"type": "object"}],
    )
    example: dict[str, Any] = Field(description="A whole event.", examples=[{"type": "email.sent"}])

    @classmethod
    def of(cls, facts: EventTypeFacts) -> Self:
        return cls(
            **_members(facts),
            json_schema=event_types.json_schema(facts.name),
            example=event_types.example(facts.name),
        )


class EventTypes(Resource):
    """The event catalogue."""

    data: list[EventType]
