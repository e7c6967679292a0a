"""The event catalogue: one class for each event, and the single source for the specification, the docs and the SDKs.

Evolution: fields are added, never changed, renamed or removed. A change that cannot be made that way is a new
`schema_version` of the event, and the class before stays, as one of `older`, with a function that makes its shape of
the new one, for endpoints that are pinned to it. Version numbers are those of the catalogue as a whole: a new version
of any event takes `LATEST_VERSION` + 1, so that a pin of today never lets tomorrow's change of another event through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.payloads import Part

LATEST_VERSION = 1

CATALOGUE: dict[EventType, type[EventData]] = {}


@dataclass(frozen=True, slots=True)
class Older:
    """A shape that an event had before. `convert`: the data of the next newer version -> the data of this one."""

    version: int
    model: type[Part]
    example: Mapping[str, Any]
    convert: Callable[[dict[str, Any]], dict[str, Any]]


class EventData(Part):
    """Base of every event: a subclass is the model of the event's `data` and carries the event's facts.

    `available`: it is sent today; otherwise its feature is still to come and it is only announced. `of_organization`:
    it belongs to no workspace. `older`: its former shapes, the newest first.
    """

    event: ClassVar[EventType]
    schema_version: ClassVar[int]
    older: ClassVar[tuple[Older, ...]]
    description: ClassVar[str]
    example: ClassVar[Mapping[str, Any]]
    available: ClassVar[bool]
    of_organization: ClassVar[bool]

    def __init_subclass__(
        cls,
        *,
        event: EventType,
        example: Mapping[str, Any],
        available: bool = True,
        of_organization: bool = False,
        version: int = 1,
        older: tuple[Older, ...] = (),
    ) -> None:
        super().__init_subclass__()
        cls.event = event
        cls.schema_version = version
        cls.older = older
        cls.description = " ".join((cls.__doc__ or "").split())
        cls.example = example
        cls.available = available
        cls.of_organization = of_organization
        CATALOGUE[event] = cls


def version_for(event: type[EventData], pin: int) -> int:
    """The version that an endpoint pinned to `pin` gets: the newest one that is not newer, else the oldest."""
    versions = [event.schema_version, *(older.version for older in event.older)]
    return next((version for version in versions if version <= pin), versions[-1])


def convert(event: type[EventData], data: dict[str, Any], made: int, wanted: int) -> tuple[dict[str, Any], int]:
    """Data of version `made` in the shape of version `wanted`, and the version that came of it: older data is not made
    newer."""
    for older in event.older:
        if wanted <= older.version < made:
            data, made = older.convert(data), older.version
    return data, made
