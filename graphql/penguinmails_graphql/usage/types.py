"""What was used, what is left, and when it runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.limits.catalogue import Limit
from penguinmails_core.principal import Principal
from penguinmails_core.usage import service
from penguinmails_core.usage.quotas import Quota
from penguinmails_graphql.enums import Mode
from penguinmails_graphql.scalars import DateTime, moment

_PREFIXES = {"api_key": Prefix.API_KEY, "oauth_app": Prefix.OAUTH_APP, "user": Prefix.USER}


@strawberry.type
class UsagePlan:
    code: str
    name: str


@strawberry.enum(description="A send is one message to one recipient.")
class UsageUnit(StrEnum):
    SENDS = "sends"
    REQUESTS = "requests"


@strawberry.type(description="What may be used in a calendar day or month (UTC).")
class UsageQuota:
    name: str = strawberry.field(description="As in RateLimit-Policy.")
    unit: UsageUnit
    limit: float
    used: float
    remaining: float
    percent: float = strawberry.field(description="`used` of `limit`.")
    starts_at: DateTime
    resets_at: DateTime
    per_day: float = strawberry.field(description="The pace: today's, or that of the last seven days for a month.")
    exhausted_at: DateTime | None = strawberry.field(
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
            starts_at=DateTime(quota.starts_at),
            resets_at=DateTime(quota.resets_at),
            per_day=quota.per_day,
            exhausted_at=moment(quota.exhausted_at),
        )


@strawberry.type(description="An exception from the plan.")
class UsageOverride:
    reason: str
    ends_at: DateTime | None


@strawberry.type(description="One limit of the plan, with what was agreed beyond it.")
class UsageLimit:
    name: str
    limit: float | None = strawberry.field(description="Null for no limit.")
    used: float | None = strawberry.field(description="Null for rates and for what is not counted.")
    override: UsageOverride | None


@strawberry.type(description="Complaints or bounces have cut the send quotas of a second and a day.")
class UsageThrottle:
    factor: float = strawberry.field(description="Of what the plan says.")
    reason: str


@strawberry.type(description="`refused` (429) and `errors` (other 4xx and 5xx) are among `requests`.")
class UsageOfOperation:
    operation: str
    requests: float
    cost: float
    refused: float
    errors: float


@strawberry.type
class UsageOfDay:
    date: date
    requests: float
    cost: float
    refused: float
    errors: float
    messages: float
    sends: float


@strawberry.enum
class UsageActorKind(StrEnum):
    API_KEY = "api_key"
    OAUTH_APP = "oauth_app"
    USER = "user"


@strawberry.type
class UsageOfActor:
    kind: UsageActorKind
    id: strawberry.ID = strawberry.field(description="Of the API key, the OAuth app or the user.")
    requests: float
    cost: float
    refused: float
    errors: float
    messages: float
    sends: float


@strawberry.type
class UsageTotals:
    requests: float
    cost: float
    refused: float
    errors: float
    messages: float
    sends: float


@strawberry.type(
    description="What an organization has used, against its limits. Counts are floats, since GraphQL's Int ends at "
    "2147483647."
)
class Usage:
    plan: UsagePlan
    mode: Mode
    start_date: date = strawberry.field(description="Whole days (UTC), both included.")
    end_date: date
    totals: UsageTotals
    quotas: list[UsageQuota]
    limits: list[UsageLimit]
    throttle: UsageThrottle | None
    by_day: list[UsageOfDay] = strawberry.field(description="Every day of the period, in order.")
    by_operation: list[UsageOfOperation] = strawberry.field(description="The busiest first, at most 100.")
    by_actor: list[UsageOfActor] = strawberry.field(description="The busiest first, at most 100.")

    @classmethod
    def of(cls, caller: Principal, days: service.Days, found: service.Usage) -> Self:
        throttle = found.limits.throttle
        return cls(
            plan=UsagePlan(code=found.limits.plan, name=found.limits.plan_name),
            mode=Mode(caller.mode),
            start_date=days.first,
            end_date=days.last,
            totals=UsageTotals(**_total(found.by_day)),
            quotas=[UsageQuota.of(quota) for quota in found.quotas],
            limits=[_limit(found, limit) for limit in Limit],
            throttle=UsageThrottle(factor=throttle.factor, reason=throttle.reason) if throttle is not None else None,
            by_day=[UsageOfDay(date=row["day"], **_numbers(row)) for row in found.by_day],
            by_operation=[_of_operation(row) for row in found.by_operation],
            by_actor=[
                UsageOfActor(
                    kind=UsageActorKind(row["actor_kind"]),
                    id=strawberry.ID(ids.encode(_PREFIXES[row["actor_kind"]], row["actor_id"])),
                    **_numbers(row),
                )
                for row in found.by_actor
            ],
        )


@strawberry.type(description="What was done with one API key.")
class ApiKeyUsage:
    api_key_id: strawberry.ID
    mode: Mode
    start_date: date
    end_date: date
    totals: UsageTotals
    by_day: list[UsageOfDay]
    by_operation: list[UsageOfOperation]

    @classmethod
    def of(cls, key: models.ApiKey, days: service.Days, found: service.KeyUsage) -> Self:
        return cls(
            api_key_id=strawberry.ID(ids.encode(Prefix.API_KEY, key.id)),
            mode=Mode(key.mode),
            start_date=days.first,
            end_date=days.last,
            totals=UsageTotals(**_total(found.by_day)),
            by_day=[UsageOfDay(date=row["day"], **_numbers(row)) for row in found.by_day],
            by_operation=[_of_operation(row) for row in found.by_operation],
        )


_OF_MAIL = ("messages", "sends")
_NUMBERS = ("requests", "cost", "refused", "errors", *_OF_MAIL)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in _NUMBERS}


def _of_operation(row: Mapping[str, Any]) -> UsageOfOperation:
    counted = {name: row[name] for name in _NUMBERS if name not in _OF_MAIL}
    return UsageOfOperation(operation=row["operation"], **counted)


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) for name in _NUMBERS}


def _limit(found: service.Usage, limit: Limit) -> UsageLimit:
    override = found.limits.overrides.get(limit)
    return UsageLimit(
        name=str(limit),
        limit=found.limits.of(limit),
        used=found.have.get(limit),
        override=UsageOverride(reason=override.reason, ends_at=moment(override.ends_at)) if override else None,
    )
