"""Who it was: the rules of `data/rules.toml`, in order. Pure, so that each can be tried with a hit made up for it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files

VERDICTS = ("human", "proxy", "scanner", "unknown")


@dataclass(frozen=True, slots=True)
class Hit:
    """`kind` is ``open`` or ``click``. `delivered_at`: when the recipient's server took the message, None when that is
    not known. `burst`: how many different links were followed within `burst_seconds` of this one, of the `links` that
    the message has."""

    kind: str
    at: datetime
    method: str = "GET"
    user_agent: str | None = None
    prefetch: bool = False
    delivered_at: datetime | None = None
    burst: int = 0
    links: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the file; see the comments there."""

    id: str
    verdict: str
    confidence: float
    why: str
    source: str
    checked: date
    on: tuple[str, ...] = ("open", "click")
    method_not: str | None = None
    prefetch: bool = False
    user_agent: re.Pattern[str] | None = None
    before_delivery: bool = False
    within_seconds: float | None = None
    links: int | None = None
    seconds: float | None = None

    def fits(self, hit: Hit) -> bool:
        return (
            hit.kind in self.on
            and (self.method_not is None or hit.method != self.method_not)
            and (not self.prefetch or hit.prefetch)
            and (self.user_agent is None or self.user_agent.search(hit.user_agent or "") is not None)
            and self._in_time(hit)
            and (self.links is None or hit.burst >= max(2, min(self.links, hit.links)))
        )

    def _in_time(self, hit: Hit) -> bool:
        if not self.before_delivery and self.within_seconds is None:
            return True
        if hit.delivered_at is None:
            return False
        after = hit.at - hit.delivered_at
        if self.before_delivery:
            return after < timedelta(0)
        return self.within_seconds is not None and after <= timedelta(seconds=self.within_seconds)


@cache
def rules() -> tuple[Rule, ...]:
    """As the file has them."""
    text = files("penguinmails_core.tracking").joinpath("data/rules.toml").read_text()
    found = []
    for row in tomllib.loads(text)["rule"]:
        pattern = row.pop("user_agent", None)
        row["on"] = tuple(row.get("on", ("open", "click")))
        found.append(Rule(**row, user_agent=re.compile(pattern, re.IGNORECASE) if pattern is not None else None))
    return tuple(found)


def burst_seconds() -> float:
    """How far apart the clicks of a burst may be: what any rule asks for."""
    return max(rule.seconds or 0.0 for rule in rules())


def judge(hit: Hit) -> Rule:
    """The first rule that fits; the last one fits everything."""
    return next(rule for rule in rules() if rule.fits(hit))
