"""What is left of a policy after a lane has slowed: the same arithmetic for who sends and who looks."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from penguinmails_core.lanes.policies import LanePolicy


class Slowed(Protocol):
    """A lane's row, or what was made of it."""

    @property
    def factor(self) -> float: ...
    @property
    def connections(self) -> int | None: ...
    @property
    def crawl_until(self) -> datetime | None: ...
    @property
    def crawl_per_second(self) -> float | None: ...


def crawls(lane: Slowed, now: datetime) -> bool:
    return lane.crawl_until is not None and lane.crawl_until > now


def rate(lane: Slowed, policy: LanePolicy, now: datetime) -> float:
    """Messages a second; 0 is no limit."""
    if crawls(lane, now) and lane.crawl_per_second:
        return lane.crawl_per_second
    return policy.per_second * lane.factor


def most_connections(lane: Slowed, policy: LanePolicy, now: datetime) -> int:
    """At once, over all processes."""
    if crawls(lane, now):
        return 1
    return min(policy.connections, lane.connections or policy.connections)
