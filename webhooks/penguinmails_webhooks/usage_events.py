"""Events of usage and limits. They belong to the organization, to none of its workspaces."""

from __future__ import annotations

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import Timestamp


class UsageThresholdReached(
    EventData,
    event=EventType.USAGE_THRESHOLD_REACHED,
    of_organization=True,
    example={
        "quota": "sends-month",
        "unit": "sends",
        "threshold": 80,
        "used": 8012,
        "limit": 10000,
        "plan": "starter",
        "starts_at": "2026-11-01T00:00:00.000Z",
        "resets_at": "2026-12-01T00:00:00.000Z",
    },
):
    """A quota is used to 80, 95 or 100 per cent. Told once for each of them and period."""

    quota: str = Field(description="Name of the policy, as in RateLimit-Policy and `GET /v1/usage`")
    unit: str = Field(description="`sends` (one message to one recipient) or `requests`; more may be added")
    threshold: int = Field(ge=1, le=100, description="Per cent")
    used: int = Field(ge=0, description="What was used when it was noticed")
    limit: int = Field(ge=0)
    plan: str = Field(description="Code of the plan")
    starts_at: Timestamp = Field(description="Start of the period")
    resets_at: Timestamp = Field(description="End of the period: from then on all of it is there again")
