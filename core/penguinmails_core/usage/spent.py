"""What was spent of the send quotas in the running day and month."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Pool
from penguinmails_core.usage import repository
from penguinmails_core.usage.periods import Period, Span, period


@dataclass(frozen=True, slots=True)
class Spent:
    """Accepted live sends of the organization in `day` and `month`."""

    day: Period | None = None
    month: Period | None = None
    today: int = 0
    this_month: int = 0


NOTHING = Spent()


async def spent_of(worker: Pool, organization_id: UUID) -> Spent:
    """Counted from the messages themselves."""
    now = utcnow()
    day, month = period(Span.DAY, now), period(Span.MONTH, now)
    today = this_month = 0
    for row in await repository.spent(worker, organization_id, month.start, month.end):
        if row["mode"] == "live":
            this_month += row["sends"]
            today += row["sends"] if row["day"] == day.start.date() else 0
    return Spent(day, month, today, this_month)
