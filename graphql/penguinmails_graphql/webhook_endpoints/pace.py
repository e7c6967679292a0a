"""How fast, how many at once and in which order events are sent to an endpoint, and how it is doing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import strawberry

from penguinmails_core import models
from penguinmails_graphql.scalars import DateTime


@strawberry.enum(description="What deliveries are kept in strict order by.")
class WebhookFifo(StrEnum):
    ENDPOINT = "endpoint"
    EMAIL_ID = "email_id"
    CONTACT_ID = "contact_id"
    RESOURCE = "resource"


@strawberry.enum
class WebhookThrottlePeriod(StrEnum):
    SECOND = "second"
    MINUTE = "minute"


@strawberry.enum(description="`OPEN`: nothing is sent until `retryAt`. `HALF_OPEN`: one request tries it.")
class WebhookHealthState(StrEnum):
    HEALTHY = "healthy"
    FAILING = "failing"
    OPEN = "open"
    HALF_OPEN = "half_open"


@strawberry.input(description="At most so many requests in a second or a minute, evenly spread.")
class WebhookThrottleInput:
    limit: int
    per: WebhookThrottlePeriod


@strawberry.type(description="At most so many requests in a second or a minute, evenly spread.")
class WebhookThrottle:
    limit: int
    per: WebhookThrottlePeriod

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self | None:
        if row.throttle_limit is None or row.throttle_period is None:
            return None
        return cls(limit=row.throttle_limit, per=WebhookThrottlePeriod(row.throttle_period))


@strawberry.type(description="How an endpoint is doing.")
class WebhookHealth:
    state: WebhookHealthState
    failing_since: DateTime | None
    consecutive_failures: int
    retry_at: DateTime | None = strawberry.field(description="When an `OPEN` endpoint is tried again.")
    throttled_since: DateTime | None = strawberry.field(description="Since then more is due than limits let through.")
    next_probe_at: DateTime | None = strawberry.field(description="When a disabled endpoint is tried again by itself.")

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self:
        state = WebhookHealthState.FAILING if row.consecutive_failures else WebhookHealthState.HEALTHY
        if row.breaker != "closed":
            state = WebhookHealthState(row.breaker)
        return cls(
            state=state,
            failing_since=_moment(row.failing_since),
            consecutive_failures=row.consecutive_failures,
            retry_at=_moment(row.breaker_until),
            throttled_since=_moment(row.throttled_since),
            next_probe_at=_moment(row.probe_at),
        )


def given_pace(input: Any) -> dict[str, Any]:
    """`throttle`, `concurrency` and `fifo` as far as an input gives them."""
    found: dict[str, Any] = {}
    for name in ("throttle", "concurrency", "fifo"):
        value = getattr(input, name)
        if value is not strawberry.UNSET:
            found[name] = value
    if found.get("throttle") is not None:
        found["throttle"] = {"limit": found["throttle"].limit, "per": str(found["throttle"].per)}
    return found


def _moment(value: Any) -> DateTime | None:
    return DateTime(value) if value else None
