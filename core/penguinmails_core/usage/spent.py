"""What was spent of the send quotas in the running day and month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Pool
from penguinmails_core.usage import repository
from penguinmails_core.usage.periods import Period, Span, period


@dataclass(frozen=True, slots=True)
class Spent:
    """Accepted sends: of the organization (live mail) in `day` and `month`, and of each credential today."""

    day: Period | None = None
    month: Period | None = None
    today: int = 0
    this_month: int = 0
    by_actor: Mapping[UUID, int] = field(default_factory=dict)

    def of(self, span: Span, current: Period) -> int:
        """Sends of the organization in the current period; 0 when this was counted in an earlier one."""
        known, sends = (self.day, self.today) if span is Span.DAY else (self.month, self.this_month)
        return sends if known == current else 0


NOTHING = Spent()


async def spent_of(worker: Pool, organization_id: UUID) -> Spent:
    """Counted from the messages themselves."""
    now = utcnow()
    day, month = period(Span.DAY, now), period(Span.MONTH, now)
    today = this_month = 0
    by_actor: dict[UUID, int] = {}
    for row in await repository.spent(worker, organization_id, month.start, month.end):
        if row["mode"] == "live":
            this_month += row["sends"]
        if row["day"] == day.start.date():
            by_actor[row["actor_id"]] = by_actor.get(row["actor_id"], 0) + row["sends"]
            if row["mode"] == "live":
                today += row["sends"]
    return Spent(day, month, today, this_month, by_actor)
