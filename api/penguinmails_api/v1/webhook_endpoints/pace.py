"""How fast, how many at once and in which order events are sent to an endpoint, and how it is doing."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field

from penguinmails_api.v1.common import RequestBody, Resource, Timestamp
from penguinmails_core import models
from penguinmails_core.models.webhook import HELD
from penguinmails_core.webhook_endpoints.pace import MAX_CONCURRENCY, MAX_THROTTLE


class WebhookFifo(StrEnum):
    ENDPOINT = "endpoint"
    EMAIL_ID = "email_id"
    CONTACT_ID = "contact_id"
    RESOURCE = "resource"


class WebhookThrottlePeriod(StrEnum):
    SECOND = "second"
    MINUTE = "minute"


class WebhookThrottleInput(RequestBody):
    limit: int = Field(
        strict=True, ge=1, le=MAX_THROTTLE, description="Requests in one period, retries included.", examples=[10]
    )
    per: WebhookThrottlePeriod


class WebhookThrottle(Resource):
    """At most so many requests in a second or a minute, evenly spread."""

    limit: int = Field(examples=[10])
    per: WebhookThrottlePeriod


Throttle = Annotated[
    WebhookThrottleInput | None,
    Field(
        description="The most requests in a second or a minute, evenly spread. What is more waits; nothing is dropped. "
        "Null: as fast as it answers.",
        examples=[{"limit": 10, "per": "second"}],
    ),
]
Concurrency = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MAX_CONCURRENCY)] | None,
    Field(description="The most requests at once; null: the server's own limit.", examples=[4]),
]
FifoKey = Annotated[
    WebhookFifo | None,
    Field(
        description="Strict order among the events of one key: all of this `endpoint`, or of one `email_id`, "
        "`contact_id` or `resource`. The next one is sent when the one before was received or given up. Null: as fast "
        "as possible, in no promised order.",
        examples=["email_id"],
    ),
]


class WebhookHealthState(StrEnum):
    """`open`: it failed so often in a row that nothing is sent until `retry_at`. `half_open`: one request tries it."""

    HEALTHY = "healthy"
    FAILING = "failing"
    OPEN = "open"
    HALF_OPEN = "half_open"


class WebhookHealth(Resource):
    """How the endpoint is doing."""

    state: WebhookHealthState
    failing_since: Timestamp | None = Field(description="When the first of the failures in a row happened.")
    consecutive_failures: int = Field(description="Failed requests in a row.", examples=[0])
    retry_at: Timestamp | None = Field(description="When an `open` endpoint is tried again.")
    throttled_since: Timestamp | None = Field(
        description="Since then more has been due than `throttle` or `concurrency` lets through; null: nothing waits."
    )
    next_probe_at: Timestamp | None = Field(
        description="When an endpoint that was disabled because it failed is tried again by itself."
    )

    @classmethod
    def of(cls, row: models.WebhookEndpoint) -> Self:
        state = WebhookHealthState.FAILING if row.consecutive_failures else WebhookHealthState.HEALTHY
        if row.breaker != "closed":
            state = WebhookHealthState(row.breaker)
        return cls(
            state=state,
            failing_since=row.failing_since,
            consecutive_failures=row.consecutive_failures,
            retry_at=row.breaker_until,
            throttled_since=row.throttled_since,
            next_probe_at=row.probe_at,
        )


def pace_of(row: models.WebhookEndpoint) -> dict[str, Any]:
    """The members that tell of it, by name."""
    throttle = None
    if row.throttle_limit is not None and row.throttle_period is not None:
        throttle = WebhookThrottle(limit=row.throttle_limit, per=WebhookThrottlePeriod(row.throttle_period))
    return {
        "throttle": throttle,
        "concurrency": row.concurrency,
        "fifo": WebhookFifo(row.fifo) if row.fifo else None,
        "health": WebhookHealth.of(row),
    }


def wait_of(row: models.WebhookDelivery) -> dict[str, Any]:
    """The members of a delivery that tell what it waits for."""
    held = row.due_at is not None and row.due_at >= HELD
    return {
        "next_attempt_at": None if held else row.due_at,
        "fifo_key": row.fifo_key,
        "held": held,
        "throttled_ms": row.throttled_ms,
    }
