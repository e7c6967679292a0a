"""Which events a portal link lets its visitor choose, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from penguinmails_core.errors import FieldError
from penguinmails_core.events.types import EventType
from penguinmails_webhooks.events import (
    CATALOGUE,
    InvalidPatterns,
    described,
    example_event,
    known_patterns,
    matches,
    validate_patterns,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """An event of the catalogue. `available`: it is sent today."""

    name: str
    description: str
    available: bool

    @property
    def example(self) -> dict[str, Any]:
        return example_event(EventType(self.name))


@dataclass(frozen=True, slots=True)
class Family:
    """``email`` and its events. `pattern` (``email.*``) stands for all of them, those to come too; None when the link
    allows only some."""

    name: str
    pattern: str | None
    events: tuple[Choice, ...]


def link_url(base: str, token: str) -> str:
    """Where a portal link leads; `base` is the origin of the server."""
    return f"{base}/portal/l/{token}"


def check_events(patterns: Sequence[str]) -> tuple[list[str], Sequence[FieldError]]:
    """The patterns without repeats, and what is wrong with them."""
    try:
        return validate_patterns(patterns), ()
    except InvalidPatterns as error:
        return [], error.errors


@lru_cache(maxsize=256)
def families(allowed: tuple[str, ...]) -> tuple[Family, ...]:
    """What may be chosen, by the first word of the name. `webhook.test` is left out: it is sent when asked for."""
    found: dict[str, list[Choice]] = {}
    for event, kind in CATALOGUE.items():
        if matches(allowed, event.value) and event is not EventType.WEBHOOK_TEST:
            name = event.value.partition(".")[0]
            found.setdefault(name, []).append(Choice(event.value, described(event), kind.available))
    return tuple(
        Family(name, f"{name}.*" if covers(allowed, f"{name}.*") else None, tuple(events))
        for name, events in found.items()
    )


def covers(allowed: Sequence[str], pattern: str) -> bool:
    """Whether everything that `pattern` stands for, now and later, is allowed."""
    if pattern in allowed or "*" in allowed:
        return True
    stem = pattern.removesuffix("*")
    return stem != "" and any(outer[-2:] == ".*" and stem.startswith(outer[:-1]) for outer in allowed)


def beyond(allowed: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those of `patterns` that go further than what is allowed."""
    return [pattern for pattern in patterns if pattern not in known_patterns() or not covers(allowed, pattern)]
