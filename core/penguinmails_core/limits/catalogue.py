"""What can be limited, and the limits of one organization put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Limit(StrEnum):
    """The limit columns of `plans`; overrides use the same names. A value of None means: no limit."""

    API_REQUESTS_PER_SECOND = "api_requests_per_second"
    API_REQUESTS_PER_MINUTE = "api_requests_per_minute"
    API_BURST = "api_burst"
    API_REQUESTS_PER_DAY = "api_requests_per_day"
    EMAILS_PER_SECOND = "emails_per_second"
    MAX_EMAILS_PER_DAY = "max_emails_per_day"
    MAX_EMAILS_PER_MONTH = "max_emails_per_month"
    MAX_USERS = "max_users"
    MAX_WORKSPACES = "max_workspaces"
    MAX_DOMAINS = "max_domains"
    MAX_EMAIL_ACCOUNTS = "max_email_accounts"
    MAX_CAMPAIGNS_PER_MONTH = "max_campaigns_per_month"
    MAX_WARMUPS = "max_warmups"
    MAX_CONTACTS = "max_contacts"
    MAX_STORAGE_GB = "max_storage_gb"
    DEDICATED_IPS = "dedicated_ips"


NAMES = {
    Limit.MAX_USERS: "member",
    Limit.MAX_WORKSPACES: "workspace",
    Limit.MAX_DOMAINS: "domain",
    Limit.MAX_EMAIL_ACCOUNTS: "mailbox",
}
"""What there may be only so many of, as people call one."""

SELF_HOSTED = "self_hosted"
DEFAULT_PLAN = "default_plan"  # the key in `Database.info`
MIN_THROTTLED_PER_DAY = 100  # what a throttled tenant may always send
MIN_THROTTLED_PER_SECOND = 1


@dataclass(frozen=True, slots=True)
class Override:
    id: UUID
    name: Limit
    value: int | None
    reason: str
    created_by: str
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Throttle:
    """Why an organization may send less than its plan says: `factor` of it. `reference_per_day`: its usual volume,
    which counts where the plan has no limit."""

    factor: float
    reason: str
    reference_per_day: int


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Sends (one message to one recipient) as they are in force now."""

    per_second: int | None
    per_day: int | None
    per_month: int | None


@dataclass(frozen=True, slots=True)
class OrganizationLimits:
    """The plan of an organization with its overrides. Identity matters: a new object is made when anything was read
    anew, and what was derived from the old one is then derived again."""

    organization_id: UUID
    plan: str
    plan_name: str
    values: Mapping[Limit, int | None]
    overrides: Mapping[Limit, Override] = field(default_factory=dict)
    throttle: Throttle | None = None

    def of(self, limit: Limit) -> int | None:
        return self.values.get(limit)

    @property
    def sends(self) -> SendLimits:
        """The send quotas, reputation considered. A month is what was bought, so it is never cut."""
        second, day = self.of(Limit.EMAILS_PER_SECOND), self.of(Limit.MAX_EMAILS_PER_DAY)
        if self.throttle is not None:
            factor = self.throttle.factor
            if day is None:
                month = self.of(Limit.MAX_EMAILS_PER_MONTH)
                day = max(self.throttle.reference_per_day, month // 30 if month is not None else 0)
            day = min(day, max(MIN_THROTTLED_PER_DAY, int(day * factor))) if day else MIN_THROTTLED_PER_DAY
            if second is not None:
                second = min(second, max(MIN_THROTTLED_PER_SECOND, int(second * factor)))
        return SendLimits(second, day, self.of(Limit.MAX_EMAILS_PER_MONTH))

    @property
    def unlimited_requests(self) -> bool:
        return all(
            self.of(limit) is None
            for limit in (Limit.API_REQUESTS_PER_SECOND, Limit.API_REQUESTS_PER_MINUTE, Limit.API_REQUESTS_PER_DAY)
        )
