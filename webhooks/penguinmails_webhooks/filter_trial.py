"""Try a filter before it is stored: on a sample of the catalogue, a real event, or one that is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penguinmails_core.errors import FieldError
from penguinmails_core.webhook_endpoints.checks import refusal
from penguinmails_webhooks.event_types import named
from penguinmails_webhooks.events import InvalidPatterns, example_event, validate_patterns
from penguinmails_webhooks.filters import Explanation, InvalidFilter, explain, parse


def try_filter(given: Any, event: Mapping[str, Any]) -> Explanation:
    """Whether an event passes, and which comparison decided. Raises `Unprocessable` for an unusable filter."""
    try:
        return explain(parse(given), event)
    except InvalidFilter as error:
        raise refusal(error.errors) from None


def sample(event_type: str) -> dict[str, Any]:
    """The catalogue's example of an event. Raises `Unprocessable` naming near ones."""
    try:
        [name] = validate_patterns([event_type])
    except InvalidPatterns as error:
        raise refusal([FieldError("/event_type", item.code, item.detail) for item in error.errors]) from None
    if name.endswith("*"):
        raise refusal([FieldError("/event_type", "unknown_event", "Name one event, not a family.")])
    return example_event(named(name))


def only_one(**given: Any) -> None:
    """Raises `Unprocessable` unless one of these is given."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        known = ", ".join(f"`{name}`" for name in given)
        pointer = f"/{names[1]}" if names else f"/{next(iter(given))}"
        raise refusal([FieldError(pointer, "one_of", f"Give one of {known}; {len(names)} are given.")])
