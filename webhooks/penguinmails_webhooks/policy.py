"""How endpoints are treated: pace, circuit breaker, disabling and probing. Decisions only; no clock, no database.

Times are seconds from now, so that the database's clock is the only one: several workers then agree.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from penguinmails_core.config import WebhookSettings
from penguinmails_core.webhook_endpoints.pace import PERIODS
from penguinmails_webhooks.records import Key

AHEAD = 0.1  # seconds: a throttled endpoint's slots are given out so long before their time
BUSY_AGAIN = 0.2  # seconds until another look at an endpoint whose requests are all under way elsewhere
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """The server's own settings."""

    breaker_failures: int
    breaker_wait: timedelta
    breaker_max: timedelta
    disable_after: timedelta
    failures_apart: timedelta
    probe_after: timedelta
    probe_max: timedelta
    probe_for: timedelta

    @classmethod
    def of(cls, settings: WebhookSettings) -> Self:
        return cls(
            settings.breaker_failures,
            settings.breaker_wait,
            settings.breaker_max,
            settings.disable_after,
            settings.failures_apart,
            settings.probe_after,
            settings.probe_max,
            settings.probe_for,
        )


@dataclass(frozen=True, slots=True)
class Gate:
    """An endpoint with limits, or whose circuit is not closed, at the moment of a claim. `throttle_in`: seconds until
    the next free slot; `breaker_in`: until the circuit may be tried; `due`: what could be claimed, counted up to one
    more than was asked for; `in_flight`: in all workers together."""

    key: Key
    throttle_limit: int | None
    throttle_period: str | None
    throttle_in: float
    concurrency: int | None
    in_flight: int
    breaker: str
    breaker_in: float
    due: int

    @property
    def interval(self) -> float:
        """Seconds between two requests; 0 without a throttle."""
        if self.throttle_limit is None or self.throttle_period is None:
            return 0.0
        return PERIODS[self.throttle_period] / self.throttle_limit


@dataclass(frozen=True, slots=True)
class Grant:
    """What may be claimed of a gated endpoint: `slots`, the first of them `first` seconds from now and then `interval`
    apart. `held_back`: its limits make something wait. `trying`: it is the request that tries an open circuit.
    `again`: seconds until more is possible; `busy`: or earlier, when one of its requests ends."""

    slots: int
    first: float
    interval: float
    held_back: bool
    trying: bool
    again: float | None
    busy: bool = False


def admit(gate: Gate, asked: int) -> Grant:
    """How many of `asked` deliveries the endpoint may get now."""
    interval, first = gate.interval, max(gate.throttle_in, 0.0)
    trying = gate.breaker != "closed"
    if trying and gate.breaker_in > 0:
        return Grant(0, first, interval, held_back=False, trying=False, again=gate.breaker_in)
    wanted = min(asked, 1) if trying else asked
    by_throttle = wanted
    if interval:
        by_throttle = int((AHEAD - first) / interval + 1e-9) + 1 if first <= AHEAD else 0
    by_concurrency = wanted if gate.concurrency is None else max(gate.concurrency - gate.in_flight, 0)
    slots = min(wanted, by_throttle, by_concurrency)
    again: float | None = None
    busy = slots < min(wanted, by_throttle)
    if busy:
        again = BUSY_AGAIN
    elif slots < wanted:
        again = first + slots * interval - AHEAD
    held_back = slots < wanted and gate.due > slots
    return Grant(slots, first, interval, held_back, trying, again, busy)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is remembered of an endpoint's failures. `breaker_in`: seconds until an open circuit may be tried."""

    key: Key
    failing_since: datetime | None
    confirmed_at: datetime | None
    failures: int
    breaker: str
    openings: int
    breaker_in: float | None = None

    @property
    def well(self) -> Condition:
        return Condition(self.key, None, None, 0, "closed", 0)


def after_requests(
    before: Condition, delivered: int, failed_at: Sequence[datetime], policy: Policy, rng: random.Random
) -> Condition:
    """The condition after requests that ended together: one success says that the endpoint is well."""
    if delivered:
        return before.well
    if not failed_at:
        return before
    first, last = min(failed_at), max(failed_at)
    since = before.failing_since or first
    confirmed = before.confirmed_at or (last if last - since >= policy.failures_apart else None)
    after = replace(
        before, failing_since=since, confirmed_at=confirmed, failures=before.failures + len(failed_at), breaker_in=None
    )
    opens = before.breaker == "half_open" or (before.breaker == "closed" and after.failures >= policy.breaker_failures)
    if not opens:
        return replace(after, breaker_in=before.breaker_in)
    wait = min(policy.breaker_wait * (1 << min(before.openings, 20)), policy.breaker_max).total_seconds()
    return replace(
        after, breaker="open", openings=min(before.openings + 1, 1000), breaker_in=wait * (1 + JITTER * rng.random())
    )


def next_probe(probes: int, disabled_for: timedelta, policy: Policy) -> timedelta | None:
    """The wait before the next probe of an endpoint that was disabled for failing, after `probes` of them; None when
    it was tried for long enough."""
    if disabled_for >= policy.probe_for:
        return None
    return min(policy.probe_after * (1 << min(probes, 20)), policy.probe_max)
