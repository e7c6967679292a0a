"""The way from watching to enforcing: none, quarantine, reject. A step is proposed only when the reports allow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Step(NamedTuple):
    """What the reports of the last `days` must show: from reports on at least `reported_days` of them, of at least
    `messages`, the share that passes DMARC must be `aligned` or more."""

    now: str
    next: str
    days: int
    reported_days: int
    messages: int
    aligned: float


# Ours to choose: RFC 9989 wants reports watched for long enough, and says no numbers. Two weeks see each weekday twice;
# a monthly mailing is why the last step looks at a month.
STEPS = (
    Step("none", "quarantine", 14, 7, 100, 0.98),
    Step("quarantine", "reject", 30, 14, 500, 0.99),
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Of a span of days."""

    messages: int
    aligned: int
    reported_days: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """`next` is None at the top. `ready` when nothing is in `reasons`: codes of what the reports do not show yet."""

    now: str
    next: str | None
    ready: bool
    reasons: tuple[str, ...]


def step_from(policy: str) -> Step | None:
    return next((step for step in STEPS if step.now == policy), None)


def propose(policy: str, totals: Totals) -> Proposal:
    step = step_from(policy)
    if step is None:
        return Proposal(policy, None, False, ())
    reasons = []
    if totals.reported_days < step.reported_days:
        reasons.append("too_few_days")
    if totals.messages < step.messages:
        reasons.append("too_few_messages")
    if totals.aligned < step.aligned * totals.messages:
        reasons.append("too_many_fail")
    return Proposal(policy, step.next, not reasons, tuple(reasons))
