"""Calendar days and months in UTC: the periods of quotas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Span(StrEnum):
    DAY = "day"
    MONTH = "month"


class Period(NamedTuple):
    """From `start` to before `end`."""

    start: datetime
    end: datetime


def period(span: Span, now: datetime) -> Period:
    """The day or month that `now` is in."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if span is Span.DAY:
        return Period(day, day + timedelta(days=1))
    first = day.replace(day=1)
    return Period(first, (first + timedelta(days=32)).replace(day=1))


def first_id(moment: datetime) -> UUID:
    """The least UUIDv7 that was made at `moment` or later: ids sort by time, so a period is a range of ids."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)
