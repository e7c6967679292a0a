"""Policies and what they are bound to: the buckets and windows that one request is counted in.

A `Bucket` lets `burst` through at once and refills evenly (GCRA); a `Window` is a calendar day or month (UTC). Header
syntax: draft-ietf-httpapi-ratelimit-headers (names are strings, `qu` is the unit when it is not requests).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from penguinmails_api.context import Headers
from penguinmails_core.usage.periods import Span, period

SENDS = "sends"
REQUESTS = "requests"


class Bucket:
    """`rate` in `per` seconds, at most `burst` at once. Told to clients as the sustained rate `name`, and as the bucket
    `label`, which is the one that counts down."""

    def __init__(
        self, name: str, rate: int, burst: int, *, per: int = 60, label: str | None = None, unit: str = REQUESTS
    ) -> None:
        self.name = name
        self.rate = rate
        self.burst = self.quota = burst
        self.per = per
        self.unit = unit
        self.interval = per / rate  # seconds until there is one more
        self.refill = max(1, math.ceil(burst * self.interval))  # seconds until an empty bucket is full
        self.label = label or name
        qu = "" if unit == REQUESTS else f';qu="{unit}"'
        self.header = f'"{name}";q={rate};w={per}{qu}'
        if self.label != name:
            self.header += f', "{self.label}";q={burst};w={self.refill}{qu}'
        self._arguments = (b"b", repr(self.interval * 1e6).encode(), b"%d" % burst, b"0", b"0")

    def arguments(self) -> tuple[bytes, ...]:
        return self._arguments

    @property
    def sentence(self) -> str:
        every = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}.get(self.per, f"{self.per} s")
        at_once = f"{self.burst} {self.unit} at once and " if self.burst != self.rate else ""
        return f"At most {at_once}{self.rate} {self.unit} a {every}"


class Window:
    """At most `quota` in a calendar day or month. `base` is what is known to be spent in the period that began at
    `base_start` (Unix time): a count that lost its memory goes on from there."""

    def __init__(
        self, name: str, quota: int, span: Span, *, unit: str = SENDS, base: int = 0, base_start: float = 0.0
    ) -> None:
        self.name = self.label = name
        self.quota = quota
        self.span = span
        self.unit = unit
        self.start = self.end = 0.0
        self._base, self._base_start = base, base_start
        self._packed: tuple[bytes, ...] = ()
        days = 1 if span is Span.DAY else 31
        self.header = f'"{name}";q={quota};w={days * 86400}' + ("" if unit == REQUESTS else f';qu="{unit}"')

    def arguments(self) -> tuple[bytes, ...]:
        if time.time() >= self.end:
            found = period(self.span, datetime.now(UTC))
            self.start, self.end = found.start.timestamp(), found.end.timestamp()
            micro = (b"%d" % (self.start * 1e6), b"%d" % (self.end * 1e6))
            self._packed = (b"w", b"%d" % self.quota, *micro, b"%d" % self.base)
        return self._packed

    @property
    def base(self) -> int:
        return self._base if self._base_start == self.start else 0

    def rebase(self, base: int, base_start: float) -> None:
        self._base, self._base_start, self.end = base, base_start, 0.0

    @property
    def sentence(self) -> str:
        return f"At most {self.quota} {self.unit} a {self.span}"


Policy = Bucket | Window


class State(NamedTuple):
    """`remaining` units, `reset`: seconds until the bucket is full or the window ends, `wait`: seconds until as much as
    was asked for is there."""

    remaining: int
    reset: float
    wait: float


class Line(NamedTuple):
    """One bucket or window of one subject. `per_call`: a request counts once here, whatever it costs."""

    policy: Policy
    key: str
    per_call: bool = False


class Verdict(NamedTuple):
    """`lines` and their `states` are those that were looked at. Refused: `violated` says by which of them, and nothing
    was taken from any."""

    allowed: bool
    lines: tuple[Line, ...]
    states: tuple[State, ...]
    violated: tuple[int, ...] = ()

    @property
    def retry_after(self) -> float:
        return max((self.states[i].wait for i in self.violated), default=0.0)

    @property
    def nearest(self) -> int:
        """The line that refuses, or of which the least is left in proportion."""
        if self.violated:
            return max(self.violated, key=lambda i: self.states[i].wait)
        best, least = 0, 2.0
        for i, (line, state) in enumerate(zip(self.lines, self.states, strict=True)):
            share = state.remaining / (line.policy.quota or 1)
            if share < least:
                best, least = i, share
        return best


class Bound:
    """The lines of one caller. `local`: those of requests are counted in this process only. Remembers a refusal: until
    its time is over the answer cannot change, so nobody is asked again."""

    __slots__ = ("_policies", "local", "refusal", "refused_until", "requests", "sends")

    def __init__(self, requests: Sequence[Line], sends: Sequence[Line] = (), *, local: bool = False) -> None:
        self.requests = tuple(requests)
        self.sends = tuple(sends)
        self.local = local
        self.refused_until = 0.0
        self.refusal: Verdict | None = None
        self._policies = ", ".join(line.policy.header for line in (*requests, *sends)).encode()

    def lines(self, cost: int, sends: int) -> tuple[Line, ...]:
        if sends and self.sends:
            return (*self.requests, *self.sends) if cost else self.sends
        return self.requests if cost else ()

    def costs(self, cost: int, sends: int) -> tuple[int, ...]:
        mine = tuple([1 if line.per_call else cost for line in self.requests]) if cost else ()
        return (*mine, *((sends,) * len(self.sends))) if sends else mine

    def remember(self, verdict: Verdict) -> None:
        """Of a refusal of the cheapest request."""
        self.refusal, self.refused_until = verdict, time.monotonic() + verdict.retry_after

    def remembered(self) -> Verdict | None:
        if self.refusal is None:
            return None
        left = self.refused_until - time.monotonic()
        if left <= 0:
            self.refusal = None
            return None
        shift = self.refusal.retry_after - left
        states = tuple(State(s.remaining, max(s.reset - shift, 0), max(s.wait - shift, 0)) for s in self.refusal.states)
        return self.refusal._replace(states=states)

    def headers(self, verdict: Verdict) -> Headers:
        """One writer for every answer, whatever was looked at."""
        nearest = verdict.nearest
        policy, state = verdict.lines[nearest].policy, verdict.states[nearest]
        remaining, reset = b"%d" % state.remaining, b"%d" % math.ceil(state.reset)
        return [
            (b"ratelimit-policy", self._policies),
            (b"ratelimit-limit", b"%d" % policy.quota),
            (b"ratelimit-remaining", remaining),
            (b"ratelimit-reset", reset),
            (b"ratelimit", b'"%b";r=%b;t=%b' % (policy.label.encode(), remaining, reset)),
        ]
