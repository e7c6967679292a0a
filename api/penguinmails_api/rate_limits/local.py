"""The same buckets and windows inside this process: for what is not worth a round trip, and for when Redis is away."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TypeVar

from penguinmails_api.rate_limits.policies import Bound, Bucket, Line, State, Verdict

MAX_ENTRIES = 50_000
_Value = TypeVar("_Value")


class LocalStore:
    """Bounded: the longest unused are forgotten."""

    def __init__(self) -> None:
        # A bucket is the time (monotonic) at which it is full again; a window its start and its count.
        self._buckets: dict[str, float] = {}
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, bound: Bound, cost: int = 1, sends: int = 0) -> Verdict:
        """All or nothing."""
        lines, costs = bound.lines(cost, sends), bound.costs(cost, sends)
        states = [self._look(line, asked) for line, asked in zip(lines, costs, strict=True)]
        violated = tuple(i for i, asked in enumerate(costs) if states[i].remaining < asked)
        if violated:
            return Verdict(False, lines, tuple(states), violated)
        return Verdict(True, lines, tuple(self._take(line, n) for line, n in zip(lines, costs, strict=True)))

    def look(self, bound: Bound, cost: int = 1) -> Verdict:
        """As `take`, but takes nothing."""
        states = tuple(self._look(line, cost) for line in bound.requests)
        violated = tuple(i for i, state in enumerate(states) if state.remaining < cost)
        return Verdict(not violated, bound.requests, states, violated)

    def give_back(self, lines: Sequence[Line], sends: int) -> None:
        for line in lines:
            if isinstance(line.policy, Bucket):
                if line.key in self._buckets:
                    self._buckets[line.key] -= sends * line.policy.interval
            elif line.key in self._windows:
                start, count = self._windows[line.key]
                self._windows[line.key] = (start, max(0, count - sends))

    def _look(self, line: Line, asked: int) -> State:
        policy = line.policy
        if isinstance(policy, Bucket):
            now = time.monotonic()
            full = max(self._buckets.get(line.key, 0.0), now)
            return _bucket_state(policy, full, now, asked)
        now = time.time()
        free = max(policy.quota - self._count(line), 0)
        left = max(policy.end - now, 0.0)
        return State(free, left, 0.0 if free >= asked else left)

    def _take(self, line: Line, asked: int) -> State:
        policy = line.policy
        if isinstance(policy, Bucket):
            now = time.monotonic()
            full = max(self._buckets.get(line.key, 0.0), now) + asked * policy.interval
            _store(self._buckets, line.key, full)
            return _bucket_state(policy, full, now, asked)
        _store(self._windows, line.key, (policy.start, self._count(line) + asked))
        return self._look(line, asked)

    def _count(self, line: Line) -> int:
        policy = line.policy
        assert not isinstance(policy, Bucket)
        policy.arguments()  # moves the window on
        start, count = self._windows.get(line.key, (0.0, 0))
        return max(count, policy.base) if start == policy.start else policy.base


def _bucket_state(policy: Bucket, full: float, now: float, asked: int) -> State:
    room = policy.burst * policy.interval
    free = max(math.floor((now + room - full) / policy.interval + 1e-6), 0)
    return State(free, full - now, max(full + asked * policy.interval - now - room, 0.0))


def _store(entries: dict[str, _Value], key: str, value: _Value) -> None:
    entries.pop(key, None)
    if len(entries) >= MAX_ENTRIES:
        entries.pop(next(iter(entries)))
    entries[key] = value
