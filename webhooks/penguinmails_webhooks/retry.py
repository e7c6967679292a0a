"""When a webhook is tried again, and what an answer means."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

SCHEDULE: tuple[timedelta, ...] = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
"""The wait before each attempt, the first one included."""

MAX_ATTEMPTS = len(SCHEDULE)
MAX_RETRY_AFTER = timedelta(hours=24)
JITTER = 0.1  # at most a tenth, so that receivers that fail together are not retried together

DELIVERY_HEADER = "webhook-delivery"
_ABORT = "abort-message"


class Verdict(StrEnum):
    """What to do with a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"  # by `next_attempt`
    GONE = "gone"  # 410: the receiver wants nothing any more; disable the endpoint
    ABORT = "abort"  # the receiver wants this one message no more; keep the endpoint


def judge(status: int | None, headers: Mapping[str, str] | None = None) -> Verdict:
    """What an answer means; `status` is None when there was none (time-out, refused connection, TLS, forbidden).

    Only 2xx is success: a redirect is not followed and counts as a failure (Standard Webhooks, "Response").
    A receiver stops the retries of one message with the header ``webhook-delivery: abort-message``.
    """
    if status is None:
        return Verdict.RETRY
    if 200 <= status <= 299:
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.GONE
    for name, value in (headers or {}).items():
        if name.lower() == DELIVERY_HEADER and value.strip().lower() == _ABORT:
            return Verdict.ABORT
    return Verdict.RETRY


def next_attempt(
    attempt: int,
    *,
    retry_after: str | None = None,
    now: datetime,
    rng: random.Random,
    scale: float = 1.0,
) -> datetime | None:
    """When to try again after `attempt` attempts (0: none made yet), or None when there are no more.

    `now` is aware; `retry_after` the header as received. Waits are 0.9 to 1.1 times the schedule times `scale`; a
    longer Retry-After (of at most 24 h, not scaled) is kept, plus up to a tenth, so that it is never undercut.
    """
    if attempt < 0:
        raise ValueError("attempt counts the attempts made and cannot be negative")
    if attempt >= MAX_ATTEMPTS:
        return None
    wait = SCHEDULE[attempt] * scale * (1 + JITTER * (2 * rng.random() - 1))
    asked = min(parse_retry_after(retry_after, now), MAX_RETRY_AFTER)
    if asked > wait:
        wait = min(asked * (1 + JITTER * rng.random()), MAX_RETRY_AFTER)
    return now + wait


def parse_retry_after(value: str | None, now: datetime) -> timedelta:
    """Seconds or an HTTP date (RFC 9110 §10.2.3) as a wait; zero for a past date or anything unreadable."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Nine digits are thirty years; longer ones would overflow and mean the same: as late as allowed.
        return timedelta(seconds=int(text)) if len(text) <= 9 else MAX_RETRY_AFTER
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta(0))
