"""The retry schedule and what answers mean."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_webhooks.retry import (
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    SCHEDULE,
    Verdict,
    judge,
    next_attempt,
    parse_retry_after,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
attempts = st.integers(0, MAX_ATTEMPTS - 1)
seeds = st.integers(0, 2**32)


def wait(attempt: int, seed: int = 0, retry_after: str | None = None, scale: float = 1.0) -> timedelta:
    due = next_attempt(attempt, retry_after=retry_after, now=NOW, rng=random.Random(seed), scale=scale)
    assert due is not None
    return due - NOW


def test_the_schedule() -> None:
    assert [step.total_seconds() for step in SCHEDULE] == [0, 5, 300, 1800, 7200, 18000, 36000, 36000]
    assert wait(0) == timedelta(0)
    for attempt in (MAX_ATTEMPTS, MAX_ATTEMPTS + 1, 10_000):
        assert next_attempt(attempt, now=NOW, rng=random.Random(0)) is None
        assert next_attempt(attempt, retry_after="5", now=NOW, rng=random.Random(0)) is None
    with pytest.raises(ValueError, match="negative"):
        next_attempt(-1, now=NOW, rng=random.Random(0))


@given(attempts, seeds, st.sampled_from([1.0, 0.1, 0.001]))
def test_jitter_stays_within_a_tenth(attempt: int, seed: int, scale: float) -> None:
    step = SCHEDULE[attempt] * scale
    slack = timedelta(microseconds=2)
    assert step * 0.9 - slack <= wait(attempt, seed, scale=scale) <= step * 1.1 + slack


def test_jitter_spreads() -> None:
    assert len({wait(3, seed) for seed in range(100)}) > 90
    assert len({wait(3, seed, "70000") for seed in range(100)}) > 90


@given(attempts, seeds, st.integers(0, 10**8))
def test_retry_after_is_never_undercut_and_never_exceeds_a_day(attempt: int, seed: int, seconds: int) -> None:
    asked = min(timedelta(seconds=seconds), MAX_RETRY_AFTER)
    due = wait(attempt, seed, str(seconds), scale=0.001)
    assert due >= asked
    assert due <= max(asked * 1.1 + timedelta(seconds=1), SCHEDULE[attempt] * 1.1)
    assert due <= MAX_RETRY_AFTER


@given(attempts, seeds, st.integers(-(10**7), 10**7))
def test_retry_after_as_a_date(attempt: int, seed: int, seconds: int) -> None:
    moment = NOW + timedelta(seconds=seconds)
    due = wait(attempt, seed, format_datetime(moment, usegmt=True))
    asked = min(max(moment - NOW, timedelta(0)), MAX_RETRY_AFTER)
    assert due >= asked
    assert due <= MAX_RETRY_AFTER


def test_a_shorter_retry_after_does_not_shorten_the_schedule() -> None:
    assert wait(4, retry_after="1") == wait(4)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        (" 120 ", 120),
        ("9" * 5000, 86400),
        ("-5", 0),
        ("1.5", 0),
        ("٣", 0),
        ("soon", 0),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120),
        ("Tuesday, 24-Nov-26 12:02:00 GMT", 120),
        ("Tue Nov 24 12:02:00 2026", 120),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 99 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 999999999 11:00:00 GMT", 0),
    ],
)
def test_retry_after_spellings(value: str | None, seconds: int) -> None:
    assert parse_retry_after(value, NOW) == timedelta(seconds=seconds)


@given(st.text(), seeds)
def test_any_retry_after_gives_a_time(value: str, seed: int) -> None:
    assert timedelta(0) <= wait(2, seed, value) <= MAX_RETRY_AFTER


def test_judge() -> None:
    for status in (200, 201, 204, 299):
        assert judge(status) is Verdict.DELIVERED
    for answer in (None, 100, 199, 300, 301, 302, 307, 400, 401, 404, 409, 429, 500, 502, 503, 504, 599):
        assert judge(answer) is Verdict.RETRY
    assert judge(410) is Verdict.GONE


def test_a_receiver_can_stop_one_message() -> None:
    for headers in ({"webhook-delivery": "abort-message"}, {"Webhook-Delivery": " Abort-Message "}):
        assert judge(400, headers) is Verdict.ABORT
        assert judge(500, headers) is Verdict.ABORT
        assert judge(200, headers) is Verdict.DELIVERED
        assert judge(410, headers) is Verdict.GONE
    assert judge(500, {"webhook-delivery": "abort"}) is Verdict.RETRY
    assert judge(500, {"x-webhook-delivery": "abort-message"}) is Verdict.RETRY
