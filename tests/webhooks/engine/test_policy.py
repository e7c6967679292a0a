"""Decisions about endpoints, on paper."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.ids import new_uuid
from penguinmails_webhooks.policy import AHEAD, Condition, Gate, Policy, admit, after_requests, next_probe

POLICY = Policy.of(WebhookSettings())
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPEN_GATE = Gate((new_uuid(), new_uuid()), None, None, 0, None, 0, "closed", 0, 1000)
WELL = Condition(OPEN_GATE.key, None, None, 0, "closed", 0)


def fail(before: Condition, at: datetime = NOON, times: int = 1) -> Condition:
    return after_requests(before, 0, [at] * times, POLICY, random.Random(1))


@pytest.mark.parametrize(
    ("limit", "per"), [(1, "second"), (7, "second"), (300, "second"), (5, "minute"), (600, "minute")]
)
def test_a_throttle_spreads_requests_evenly(limit: int, per: str) -> None:
    """Slot after slot over ten periods, whenever it is asked: never two closer than the interval, none lost."""
    interval = {"second": 1, "minute": 60}[per] / limit
    now, free_at = 0.0, 0.0
    starts: list[float] = []
    while now < 10 * interval * limit:
        gate = replace(OPEN_GATE, throttle_limit=limit, throttle_period=per, throttle_in=free_at - now)
        grant = admit(gate, 1000)
        starts += [now + grant.first + place * grant.interval for place in range(grant.slots)]
        free_at = now + grant.first + grant.slots * grant.interval
        assert grant.held_back
        assert grant.again is not None
        now += max(grant.again, 0.001)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert min(gaps) > interval * 0.999
    assert max(gaps) < interval * 1.001 + 0.002
    assert len(starts) == pytest.approx(10 * limit, abs=limit * AHEAD / interval + 2)


def test_a_throttle_saves_nothing_up() -> None:
    gate = replace(OPEN_GATE, throttle_limit=10, throttle_period="second", throttle_in=-3600)
    assert admit(gate, 1000).slots == 2  # now, and in 0.1 s


def test_concurrency_counts_what_all_workers_send() -> None:
    gate = replace(OPEN_GATE, concurrency=5, in_flight=3)
    grant = admit(gate, 10)
    assert (grant.slots, grant.held_back, grant.busy) == (2, True, True)
    assert admit(replace(gate, in_flight=9), 10).slots == 0
    assert not admit(replace(gate, due=2), 10).held_back


def test_an_open_circuit_lets_one_through_when_its_time_has_come() -> None:
    gate = replace(OPEN_GATE, breaker="open", breaker_in=3)
    grant = admit(gate, 10)
    assert (grant.slots, grant.again, grant.trying) == (0, 3, False)
    grant = admit(replace(gate, breaker_in=0), 10)
    assert (grant.slots, grant.trying) == (1, True)
    assert admit(replace(gate, breaker="half_open", breaker_in=20), 10).slots == 0
    assert admit(replace(gate, breaker="half_open", breaker_in=-1), 10).slots == 1


def test_the_circuit_opens_tries_and_closes() -> None:
    state = fail(WELL, times=POLICY.breaker_failures - 1)
    assert (state.breaker, state.failures, state.failing_since) == ("closed", 4, NOON)
    state = fail(state)
    assert (state.breaker, state.openings) == ("open", 1)
    assert state.breaker_in == pytest.approx(5, rel=0.11)
    late = fail(state)  # of a request that was under way
    assert (late.breaker, late.openings, late.breaker_in) == ("open", 1, state.breaker_in)
    waits = []
    for _ in range(12):
        state = fail(replace(state, breaker="half_open"))
        assert state.breaker_in is not None
        waits.append(state.breaker_in)
    assert all(5 < wait <= 330 for wait in waits)
    assert waits[-1] >= 300
    assert after_requests(state, 1, [NOON], POLICY, random.Random(1)) == WELL


def test_failures_that_prove_nothing_change_nothing() -> None:
    """As when the receiver refuses one message, or the log does not keep it any more."""
    state = fail(WELL)
    assert after_requests(state, 0, [], POLICY, random.Random(1)) == state


def test_failures_must_lie_apart() -> None:
    state = fail(fail(WELL), NOON + timedelta(hours=11))
    assert state.confirmed_at is None
    state = fail(state, NOON + timedelta(hours=12))
    assert (state.failing_since, state.confirmed_at) == (NOON, NOON + timedelta(hours=12))
    later = fail(state, NOON + timedelta(days=4))
    assert later.confirmed_at == state.confirmed_at


def test_probes_are_ever_further_apart_and_end() -> None:
    waits = [next_probe(number, timedelta(days=number), POLICY) for number in range(31)]
    assert waits[:7] == [timedelta(hours=hours) for hours in (1, 2, 4, 8, 16, 24, 24)]
    assert waits[30] is None
    assert next_probe(0, timedelta(0), replace(POLICY, probe_for=timedelta(0))) is None
