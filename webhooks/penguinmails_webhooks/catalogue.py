"""The event catalogue: one class for each event, and the single source for the specification, the docs and the SDKs.

Evolution: fields are added, never changed, renamed or removed; a change that cannot be made that way is a new
`schema_version` of the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.payloads import Part

CATALOGUE: dict[EventType, type[EventData]] = {}


class EventData(Part):
    """Base of every event: a subclass is the model of the event's `data` and carries the event's facts."""

    event_type: ClassVar[EventType]
    schema_version: ClassVar[int] = 1
    description: ClassVar[str]
    example: ClassVar[Mapping[str, Any]]

    def __init_subclass__(cls, *, event: EventType, example: Mapping[str, Any]) -> None:
        super().__init_subclass__()
        cls.event_type = event
        cls.description = " ".join((cls.__doc__ or "").split())
        cls.example = example
        CATALOGUE[event] = cls
