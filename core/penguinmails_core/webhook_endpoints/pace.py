"""How fast, how many at once and in which order an endpoint wants its events: what may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from penguinmails_core.errors import FieldError

MAX_THROTTLE = 100_000
MAX_CONCURRENCY = 100
PERIODS = {"second": 1, "minute": 60}


class Fifo(StrEnum):
    """What deliveries are kept in order by."""

    ENDPOINT = "endpoint"
    EMAIL_ID = "email_id"
    CONTACT_ID = "contact_id"
    RESOURCE = "resource"


def check_pace(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Column values of `throttle` ({limit, per}), `concurrency` and `fifo` as far as they are given, and what is wrong
    with them. None takes a limit away."""
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    if "throttle" in given:
        throttle = given["throttle"]
        values["throttle_limit"] = throttle["limit"] if throttle else None
        values["throttle_period"] = str(throttle["per"]) if throttle else None
        values["throttle_at"] = values["throttled_since"] = None
        if throttle:
            errors += _check_number("/throttle/limit", throttle["limit"], MAX_THROTTLE)
            errors += _check_choice("/throttle/per", str(throttle["per"]), tuple(PERIODS))
    if "concurrency" in given:
        values["concurrency"] = given["concurrency"]
        if given["concurrency"] is not None:
            errors += _check_number("/concurrency", given["concurrency"], MAX_CONCURRENCY)
    if "fifo" in given:
        fifo = given["fifo"]
        values["fifo"] = str(fifo) if fifo is not None else None
        if fifo is not None:
            errors += _check_choice("/fifo", str(fifo), tuple(Fifo))
    return values, errors


def _check_number(pointer: str, value: int, most: int) -> list[FieldError]:
    if 1 <= value <= most:
        return []
    return [FieldError(pointer, "out_of_range", f"{pointer} is {value}; give 1 to {most:,}.")]


def _check_choice(pointer: str, value: str, known: tuple[str, ...]) -> list[FieldError]:
    if value in known:
        return []
    return [FieldError(pointer, "unknown_value", f"{pointer} is one of {', '.join(known)}.")]
