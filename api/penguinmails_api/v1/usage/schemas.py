"""Usage as the API shows it."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Day, QueryParameters, Resource, Timestamp, typeid
from penguinmails_api.v1.me.schemas import Mode
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.limits.catalogue import Limit, OrganizationLimits
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import Principal
from penguinmails_core.usage import service
from penguinmails_core.usage.quotas import Quota

_PREFIXES = {"api_key": Prefix.API_KEY, "oauth_app": Prefix.OAUTH_APP, "user": Prefix.USER}


class PeriodQuery(QueryParameters):
    start_date: Day | None = Field(
        None, description="First day (UTC); default: the first of this month.", examples=["2026-11-01"]
    )
    end_date: Day | None = Field(None, description="Last day, included; default: today.", examples=["2026-11-24"])

    def days(self) -> service.Days:
        """Raises `Unprocessable`."""
        today = utcnow().date()
        last = self.end_date or today
        first = self.start_date or last.replace(day=1)
        if not first <= last:
            raise _fault("start_date", "too_large", f"`start_date` must not be after `end_date` ({last}).")
        if last > today:
            raise _fault("end_date", "too_large", f"`end_date` must not be after today ({today}, UTC).")
        if (last - first).days >= service.MAX_DAYS:
            raise _fault("start_date", "too_small", f"The period may have at most {service.MAX_DAYS} days.")
        return service.Days(first, last)


class UsageQuery(PeriodQuery):
    api_key_id: Annotated[str, Field(max_length=100), typeid(Prefix.API_KEY)] | None = Field(
        None, description="Only requests and sends of this key."
    )
    operation: str | None = Field(
        None, max_length=100, description="Only requests of this operation.", examples=["emails_list"]
    )

    def actor(self) -> UUID | None:
        """A key that does not exist has used nothing. Raises `Unprocessable` for what is no id."""
        if self.api_key_id is None:
            return None
        try:
            return ids.decode(Prefix.API_KEY, self.api_key_id)
        except ids.IdError as error:
            raise _fault("api_key_id", "invalid_id", f"`api_key_id`: {error}.") from None


def _fault(name: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(name, code, detail)])


class UsagePlan(Resource):
    code: str = Field(examples=["professional"])
    name: str = Field(examples=["Professional"])


class UsagePeriod(Resource):
    """Whole days (UTC), both included."""

    start_date: date
    end_date: date


class UsageUnit(StrEnum):
    """A send is one message to one recipient."""

    SENDS = "sends"
    REQUESTS = "requests"


class UsageQuota(Resource):
    """What may be used in a calendar day or month (UTC)."""

    name: str = Field(description="As in RateLimit-Policy.", examples=["sends-month"])
    unit: UsageUnit
    limit: int
    used: int
    remaining: int
    percent: float = Field(description="`used` of `limit`.")
    starts_at: Timestamp
    resets_at: Timestamp = Field(description="When all of it is there again.")
    per_day: float = Field(description="The pace: today's, or that of the last seven days for a month.")
    exhausted_at: Timestamp | None = Field(
        description="When it is used up at this pace; null when it is whole again before."
    )

    @classmethod
    def of(cls, quota: Quota) -> Self:
        return cls(
            name=quota.name,
            unit=UsageUnit(quota.unit),
            limit=quota.limit,
            used=quota.used,
            remaining=quota.remaining,
            percent=quota.percent,
            starts_at=quota.starts_at,
            resets_at=quota.resets_at,
            per_day=quota.per_day,
            exhausted_at=quota.exhausted_at,
        )


class UsageOverride(Resource):
    """An exception from the plan."""

    reason: str
    ends_at: Timestamp | None


class UsageLimit(Resource):
    """One limit of the plan, with what was agreed beyond it."""

    name: str = Field(examples=["max_domains"])
    limit: int | None = Field(description="null for no limit.")
    used: int | None = Field(description="How many there are; null for rates and for what is not counted.")
    override: UsageOverride | None


class UsageThrottle(Resource):
    """Complaints or bounces have cut the send quotas of a second and a day."""

    factor: float = Field(description="Of what the plan says.", examples=[0.5])
    reason: str


class UsageNumbers(Resource):
    """`refused` (429) and `errors` (other 4xx and 5xx) are among `requests`."""

    requests: int
    cost: int = Field(description="What the requests took from the limits; those that were refused took nothing.")
    refused: int
    errors: int


class UsageOfOperation(UsageNumbers):
    operation: str = Field(description="As in the specification, or `unmatched`.", examples=["emails_send"])


class UsageOfDay(UsageNumbers):
    date: date
    messages: int
    sends: int


class UsageActorKind(StrEnum):
    API_KEY = "api_key"
    OAUTH_APP = "oauth_app"
    USER = "user"


class UsageOfActor(UsageNumbers):
    kind: UsageActorKind
    id: str = Field(
        description="Of the API key, the OAuth app or the user.", examples=["key_01kaz6yzwhe1xrqm3c8s4q3m8r"]
    )
    messages: int
    sends: int


class UsageTotals(UsageNumbers):
    messages: int
    sends: int


class Usage(Resource):
    """What an organization has used, against its limits."""

    plan: UsagePlan
    mode: Mode
    period: UsagePeriod
    totals: UsageTotals
    quotas: list[UsageQuota] = Field(description="Of the running day and month; none without limits.")
    limits: list[UsageLimit]
    throttle: UsageThrottle | None
    by_day: list[UsageOfDay] = Field(description="Every day of the period, in order.")
    by_operation: list[UsageOfOperation] = Field(description="The busiest first, at most 100.")
    by_actor: list[UsageOfActor] = Field(description="The busiest first, at most 100.")

    @classmethod
    def of(cls, caller: Principal, days: service.Days, found: service.Usage) -> Self:
        limits, throttle = found.limits, found.limits.throttle
        return cls(
            plan=UsagePlan(code=limits.plan, name=limits.plan_name),
            mode=Mode(caller.mode),
            period=UsagePeriod(start_date=days.first, end_date=days.last),
            totals=UsageTotals(**_total(found.by_day)),
            quotas=[UsageQuota.of(quota) for quota in found.quotas],
            limits=[_limit(limits, limit, found.have) for limit in Limit],
            throttle=UsageThrottle(factor=throttle.factor, reason=throttle.reason) if throttle is not None else None,
            by_day=[UsageOfDay(date=row["day"], **_numbers(row)) for row in found.by_day],
            by_operation=[UsageOfOperation(operation=row["operation"], **_numbers(row)) for row in found.by_operation],
            by_actor=[
                UsageOfActor(
                    kind=UsageActorKind(row["actor_kind"]),
                    id=ids.encode(_PREFIXES[row["actor_kind"]], row["actor_id"]),
                    **_numbers(row),
                )
                for row in found.by_actor
            ],
        )


class ApiKeyUsage(Resource):
    """What one API key was used for."""

    api_key_id: Annotated[str, typeid(Prefix.API_KEY)]
    mode: Mode
    period: UsagePeriod
    totals: UsageTotals
    by_day: list[UsageOfDay] = Field(description="Every day of the period, in order.")
    by_operation: list[UsageOfOperation] = Field(description="The busiest first, at most 100.")

    @classmethod
    def of(cls, key: ApiKey, days: service.Days, found: service.KeyUsage) -> Self:
        return cls(
            api_key_id=ids.encode(Prefix.API_KEY, key.id),
            mode=Mode(key.mode),
            period=UsagePeriod(start_date=days.first, end_date=days.last),
            totals=UsageTotals(**_total(found.by_day)),
            by_day=[UsageOfDay(date=row["day"], **_numbers(row)) for row in found.by_day],
            by_operation=[UsageOfOperation(operation=row["operation"], **_numbers(row)) for row in found.by_operation],
        )


_NUMBERS = ("requests", "cost", "refused", "errors", "messages", "sends")


def _numbers(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: row[name] for name in _NUMBERS if name in row}


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in _NUMBERS}


def _limit(limits: OrganizationLimits, limit: Limit, have: Mapping[Limit, int]) -> UsageLimit:
    override = limits.overrides.get(limit)
    return UsageLimit(
        name=limit,
        limit=limits.of(limit),
        used=have.get(limit),
        override=UsageOverride(reason=override.reason, ends_at=override.ends_at) if override is not None else None,
    )
