"""Quotas of an organization: what is used, what is left, and when it is used up if things go on like this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from penguinmails_core.limits.catalogue import Limit, OrganizationLimits
from penguinmails_core.usage.periods import Span, period

SENDS, REQUESTS = "sends", "requests"
THRESHOLDS = (80, 95, 100)  # per cent
PACE_DAYS = 7  # the pace of a month is that of the last week
_LEAST = timedelta(hours=1)  # a day's pace is not told from its first minutes


@dataclass(frozen=True, slots=True)
class Quota:
    """`name` is that of the policy in RateLimit-Policy. `per_day`: the pace it is used at. `exhausted_at`: when it will
    be used up at this pace, None when it is whole again before."""

    name: str
    unit: str
    limit: int
    used: int
    starts_at: datetime
    resets_at: datetime
    per_day: float
    exhausted_at: datetime | None

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def percent(self) -> float:
        return 100.0 if not self.limit else round(100 * self.used / self.limit, 2)

    @property
    def reached(self) -> tuple[int, ...]:
        """The thresholds that were reached."""
        return tuple(share for share in THRESHOLDS if self.used * 100 >= share * self.limit)


def quotas_of(
    limits: OrganizationLimits, sends: Sequence[Mapping[str, Any]], requests_today: int, now: datetime
) -> list[Quota]:
    """`sends`: rows of `day`, `mode` and `sends`, from the start of the month or a week ago on, whichever is earlier.
    `requests_today`: what requests of today have cost."""
    by_day: dict[date, int] = {}
    for row in sends:
        if row["mode"] == "live":
            by_day[row["day"]] = by_day.get(row["day"], 0) + int(row["sends"])
    day, month = period(Span.DAY, now), period(Span.MONTH, now)
    today = by_day.get(day.start.date(), 0)
    in_force = limits.sends
    elapsed = max(now - day.start, _LEAST) / timedelta(days=1)
    found = []
    if (limit := limits.of(Limit.API_REQUESTS_PER_DAY)) is not None:
        found.append(_quota("day", REQUESTS, limit, requests_today, Span.DAY, requests_today / elapsed, now))
    if in_force.per_day is not None:
        found.append(_quota("sends-day", SENDS, in_force.per_day, today, Span.DAY, today / elapsed, now))
    if in_force.per_month is not None:
        used = sum(count for at, count in by_day.items() if at >= month.start.date())
        found.append(_quota("sends-month", SENDS, in_force.per_month, used, Span.MONTH, _pace(by_day, now), now))
    return found


def sends_since(now: datetime) -> datetime:
    """How far back `quotas_of` needs sends."""
    day, month = period(Span.DAY, now), period(Span.MONTH, now)
    return min(month.start, day.start - timedelta(days=PACE_DAYS - 1))


def _pace(by_day: Mapping[date, int], now: datetime) -> float:
    """Sends a day over the last week, or since the first of them when that is later."""
    today = period(Span.DAY, now).start
    recent = {at: count for at, count in by_day.items() if at > (today - timedelta(days=PACE_DAYS)).date() and count}
    if not recent:
        return 0.0
    days = (today.date() - min(recent)).days + max(now - today, _LEAST) / timedelta(days=1)
    return sum(recent.values()) / days


def _quota(name: str, unit: str, limit: int, used: int, span: Span, per_day: float, now: datetime) -> Quota:
    starts, ends = period(span, now)
    exhausted: datetime | None = None
    if used >= limit:
        exhausted = now
    elif per_day > 0:
        days = (limit - used) / per_day
        if days < (ends - now) / timedelta(days=1):
            exhausted = now + timedelta(days=days)
    return Quota(name, unit, limit, used, starts, ends, round(per_day, 1), exhausted)
