"""Limits of single routes, in the notation of slowapi and limits ("10/minute", "5/15minutes;100/day").

    @router.post("/{endpoint_id}/test", **operation(...))
    @limit("10/minute")
    async def send_test(...): ...

The decorator only declares; the gateway counts them together with all other policies, in the same round trip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from limits import parse_many

from penguinmails_api.rate_limits.policies import Bucket

Handler = TypeVar("Handler", bound=Callable[..., Any])
Subject = Literal["caller", "organization", "address"]
_ATTRIBUTE = "__penguinmails_limits__"


@dataclass(frozen=True, slots=True)
class Declared:
    """`by`: whose requests are counted together."""

    notation: str
    by: Subject

    def buckets(self, operation: str) -> list[Bucket]:
        """Named after the operation; several get a number."""
        found = []
        for number, item in enumerate(parse_many(self.notation)):
            name = operation if number == 0 else f"{operation}-{number + 1}"
            found.append(Bucket(name, item.amount, item.amount, per=item.get_expiry()))
        return found


def limit(notation: str, *, by: Subject = "caller") -> Callable[[Handler], Handler]:
    """Raises `ValueError` for a notation that cannot be read. Put it below the route decorator."""
    parse_many(notation)

    def mark(handler: Handler) -> Handler:
        declared = (Declared(notation, by), *getattr(handler, _ATTRIBUTE, ()))
        setattr(handler, _ATTRIBUTE, declared)
        return handler

    return mark


def declared_on(handler: Any) -> tuple[Declared, ...]:
    found: tuple[Declared, ...] = getattr(handler, _ATTRIBUTE, ())
    return found
