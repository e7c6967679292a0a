"""Which events the form of an endpoint offers, and what was chosen of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_webhooks.events import matches
from penguinmails_webhooks.portal import Family, beyond, families

MAX_SHOWN = 200


def offered(allowed: Sequence[str], selected: Sequence[str]) -> list[Family]:
    """The events that are sent today, and those to come that were chosen already."""
    found = []
    for family in families(tuple(allowed)):
        events = tuple(event for event in family.events if event.available or event.name in selected)
        if events:
            found.append(replace(family, events=events))
    return found


def fixed(allowed: Sequence[str], present: Sequence[str]) -> list[str]:
    """What an endpoint gets beyond its visitor's choice: the organization gave it, and the visitor cannot take it."""
    return beyond(allowed, present)


def chosen(allowed: Sequence[str], picked: Sequence[str], present: Sequence[str] = ()) -> list[str]:
    """The patterns to store: what was picked, without what a picked family covers, and what is fixed. Raises
    `Unprocessable` for anything that the link does not allow."""
    picked = list(dict.fromkeys(picked))
    if wrong := beyond(allowed, picked):
        detail = f"{', '.join(wrong)[:MAX_SHOWN]} cannot be chosen here."
        raise Unprocessable(detail, errors=[FieldError("/events", "not_allowed", detail)])
    wide = [pattern for pattern in picked if pattern.endswith("*")]
    kept = [pattern for pattern in picked if pattern in wide or not matches(wide, pattern)]
    if "*" in kept:
        kept = ["*"]
    if not kept:
        detail = "Choose at least one event."
        raise Unprocessable(detail, errors=[FieldError("/events", "required", detail)])
    return [*kept, *(pattern for pattern in fixed(allowed, present) if pattern not in kept)]
