"""How a source grows: schedules as data, a day judged by what providers answered, and the calendar that follows.

Growth is driven by our own telemetry only: deferrals, bounces, blocks, complaints. There are no made-up opens, clicks
or replies here, and there will be none: they break providers' rules and measure nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

RATES = ("deferred", "bounced", "blocked", "complained")
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Schedule:
    """`days`: caps a day; beyond the last one each step is `factor` times the one before."""

    name: str
    days: tuple[int, ...]
    factor: float
    source: str
    checked: date

    def cap(self, step: int, target: int, share: float = 1.0) -> int:
        """Of a step (the first is 0), at most `target`, at least 1."""
        last = len(self.days) - 1
        number = float(self.days[min(step, last)])
        if step > last:
            number = min(number * self.factor ** min(step - last, 60), 1e15)
        return max(1, min(target, int(number * share)))

    def steps(self, target: int, share: float = 1.0) -> int:
        """How many steps it takes until the cap is the target."""
        step = 0
        while self.cap(step, target, share) < target:
            step += 1
        return step + 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates of a day's answers from which it holds, steps back, stops. Below `floor` answers nothing is concluded."""

    floor: int
    hold: Mapping[str, float]
    back: Mapping[str, float]
    stop: Mapping[str, float]
    source: str
    checked: date


@dataclass(frozen=True, slots=True)
class GroupShare:
    """A provider that takes less of a new source at first."""

    name: str
    share: float
    source: str
    checked: date


@dataclass(frozen=True, slots=True)
class Schedules:
    schedules: Mapping[str, Schedule]
    groups: Mapping[str, GroupShare]
    limits: Limits

    def share(self, group: str) -> float:
        found = self.groups.get(group)
        return 1.0 if found is None else found.share


@cache
def shipped() -> Schedules:
    """The file that comes with the product."""
    raw = tomllib.loads(files("penguinmails_core.lanes").joinpath("data/warmup.toml").read_text())
    schedules = [Schedule(**{**row, "days": tuple(row["days"])}) for row in raw["schedule"]]
    groups = [GroupShare(**row) for row in raw["group"]]
    return Schedules(
        {item.name: item for item in schedules}, {item.name: item for item in groups}, Limits(**raw["limits"])
    )


@dataclass(frozen=True, slots=True)
class Day:
    """What providers answered on one day. `sent` were accepted; `blocked` are among deferred and bounced."""

    sent: int = 0
    deferred: int = 0
    bounced: int = 0
    blocked: int = 0
    complained: int = 0

    @property
    def answers(self) -> int:
        return self.sent + self.deferred + self.bounced

    def rate(self, name: str) -> float:
        """Complaints are counted against what arrived, the others against what was answered."""
        whole = self.sent if name == "complained" else self.answers
        return getattr(self, name) / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`action`: grow, hold, back or stop; `why` with the numbers."""

    action: str
    why: str


def judge(day: Day, cap: int, limits: Limits) -> Verdict:
    """What follows from a day. A rate needs `floor` answers, and two cases of it: one reply is an anecdote. A cap that
    was not used shows nothing, so the step is repeated."""
    if day.answers < limits.floor:
        return Verdict("hold", f"{day.answers} answers; a rate means something from {limits.floor} on")
    for action, thresholds in (("stop", limits.stop), ("back", limits.back), ("hold", limits.hold)):
        for name in RATES:
            rate, most = day.rate(name), thresholds[name]
            if rate >= most and getattr(day, name) >= 2:
                return Verdict(action, f"{name} {rate:.2%} of {day.answers}; {action} from {most:.2%} on")
    if day.answers < cap // 2:
        return Verdict("hold", f"{day.answers} of {cap} used: no more was asked for")
    return Verdict("grow", f"{day.answers} answers without a complaint worth the name")


@dataclass(slots=True)
class Progress:
    """Where a warm-up stands."""

    step: int = 0
    state: str = "growing"
    cap: int = 0
    reason: str = ""
    bad_days: int = 0
    history: list[str] = field(default_factory=list)


def advance(progress: Progress, day: Day, schedule: Schedule, target: int, share: float, limits: Limits) -> Verdict:
    """At the end of a day. Three bad days in a row stop it: that is no bad luck. A stopped one stays where it is."""
    if progress.state in ("stopped", "done"):
        return Verdict("hold", progress.reason)
    verdict = judge(day, progress.cap, limits)
    bad = verdict.action == "back"
    progress.bad_days = progress.bad_days + 1 if bad else 0
    if progress.bad_days >= 3 and verdict.action != "stop":
        verdict = Verdict("stop", f"three bad days in a row; {verdict.why}")
    match verdict.action:
        case "stop":
            progress.state = "stopped"
            progress.step = max(0, progress.step - 2)
        case "back":
            progress.step = max(0, progress.step - 1)
        case "grow":
            progress.step += 1
    if progress.state != "stopped":
        progress.state = "growing" if verdict.action == "grow" else "held"
    before, progress.cap = progress.cap, schedule.cap(progress.step, target, share)
    if progress.state == "growing" and before >= target and progress.cap >= target:
        progress.state = "done"
    progress.reason = verdict.why
    return verdict


@dataclass(frozen=True, slots=True)
class Planned:
    """A day of the calendar: the first is 1."""

    day: int
    cap: int
    total: int
    share: float  # of the target


def calendar(schedule: Schedule, target: int, share: float = 1.0) -> list[Planned]:
    """Every day until the target, if nothing goes wrong."""
    days: list[Planned] = []
    total = 0
    for step in range(schedule.steps(target, share)):
        cap = schedule.cap(step, target, share)
        total += cap
        days.append(Planned(step + 1, cap, total, cap / target))
    return days


def table(days: Sequence[Planned]) -> str:
    """For a terminal."""
    rows = [("day", "cap", "total", "of target")]
    rows += [(str(day.day), f"{day.cap:,}", f"{day.total:,}", f"{day.share:.1%}") for day in days]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def chart(days: Sequence[Planned], width: int = 50) -> str:
    """A bar for each day, on a scale that shows small days too (square root)."""
    most = max(day.cap for day in days)
    label = len(str(days[-1].day))
    lines = []
    for day in days:
        bar = max(1, round((day.cap / most) ** 0.5 * width))
        lines.append(f"{day.day:>{label}} | {'#' * bar} {day.cap:,}")
    return "\n".join(lines)


def as_json(
    schedule: Schedule, target: int, group: str | None, share: float, days: Sequence[Planned]
) -> dict[str, Any]:
    return {
        "schedule": schedule.name,
        "target": target,
        "group": group,
        "days": [{"day": day.day, "cap": day.cap, "total": day.total, "share": round(day.share, 6)} for day in days],
        "length": len(days),
        "source": schedule.source,
        "checked": schedule.checked.isoformat(),
    }
