"""Usage of an organization: by day, operation and caller, against its quotas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.limits import repository as limits_repository
from penguinmails_core.limits.catalogue import Limit, OrganizationLimits
from penguinmails_core.limits.service import limits_of
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import Principal
from penguinmails_core.usage import repository
from penguinmails_core.usage.periods import Span, period
from penguinmails_core.usage.quotas import Quota, quotas_of, sends_since
from penguinmails_core.usage.recorder import actor_of

MAX_DAYS = 400  # as long as counters are kept
MAX_GROUPS = 100  # callers that are listed one by one

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days (UTC), both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Usage:
    """`by_day` has every day of the period, in order; the others the busiest first. Rows have `requests`, `cost`,
    `refused` and `errors`; `by_day` and `by_actor` have `messages` and `sends` too. `have`: how many there are of what
    is limited in number."""

    limits: OrganizationLimits
    quotas: Sequence[Quota]
    have: Mapping[Limit, int]
    by_day: Sequence[Row]
    by_operation: Sequence[Row]
    by_actor: Sequence[Row]


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """As in `Usage`."""

    by_day: Sequence[Row]
    by_operation: Sequence[Row]


async def usage(
    session: AsyncSession,
    principal: Principal,
    span: Days,
    *,
    default_plan: str,
    actor_id: UUID | None = None,
    operation: str | None = None,
) -> Usage:
    """A credential that is bound to a workspace sees its own requests only; quotas are the organization's."""
    organization_id, now = principal.organization_id, utcnow()
    if principal.workspace_id is not None:
        actor_id = actor_of(principal)[1]
    limits = await limits_of(session, organization_id, default_plan)
    groups = {
        by: await _requests(session, organization_id, principal.mode, span, by, actor_id, operation)
        for by in ("day", "operation", "actor_id")
    }
    mine = await _sends(session, organization_id, principal.mode, span, actor_id)
    return Usage(
        limits,
        await quotas(session, limits, now),
        await limits_repository.counts(session, organization_id),
        _with_days(groups["day"], mine, span),
        groups["operation"],
        _with_sends(groups["actor_id"], mine, "actor_id"),
    )


async def usage_of_key(session: AsyncSession, key: ApiKey, span: Days) -> KeyUsage:
    """Whoever may see the key may see this."""
    where = (session, key.organization_id, key.mode, span)
    by_day, by_operation = [await _requests(*where, by, key.id) for by in ("day", "operation")]
    return KeyUsage(_with_days(by_day, await _sends(*where, key.id), span), by_operation)


async def _requests(
    session: AsyncSession,
    organization_id: UUID,
    mode: str,
    span: Days,
    by: str,
    actor_id: UUID | None,
    operation: str | None = None,
) -> list[Row]:
    return await repository.requests(
        session,
        organization_id,
        mode,
        span.first,
        span.last + timedelta(days=1),
        by,
        actor_id=actor_id,
        operation=operation,
        limit=MAX_DAYS if by == "day" else MAX_GROUPS,
    )


async def _sends(
    session: AsyncSession, organization_id: UUID, mode: str, span: Days, actor_id: UUID | None
) -> list[Row]:
    start, end = (datetime.combine(at, time(), UTC) for at in (span.first, span.last + timedelta(days=1)))
    sent = await repository.sends(session, organization_id, start, end)
    return [row for row in sent if row["mode"] == mode and actor_id in (None, row["actor_id"])]


async def quotas(session: AsyncSession, limits: OrganizationLimits, now: datetime) -> list[Quota]:
    """Sends are counted from the messages, requests from their counters (a few seconds old)."""
    organization_id, today = limits.organization_id, period(Span.DAY, now)
    sent = await repository.sends(session, organization_id, sends_since(now), today.end)
    requests_today = 0
    if limits.of(Limit.API_REQUESTS_PER_DAY) is not None:
        requests_today = await repository.cost_of_day(session, organization_id, today.start.date())
    return quotas_of(limits, sent, requests_today, now)


def _with_days(requests: Sequence[Row], sent: Sequence[Row], span: Days) -> list[Row]:
    days = [span.first + timedelta(days=n) for n in range((span.last - span.first).days + 1)]
    empty: list[Row] = [{"day": day, "requests": 0, "cost": 0, "refused": 0, "errors": 0} for day in days]
    known = {row["day"]: row for row in requests}
    return _with_sends([known.get(row["day"], row) for row in empty], sent, "day")


def _with_sends(requests: Sequence[Row], sent: Sequence[Row], key: str) -> list[Row]:
    totals: dict[Any, list[int]] = {}
    for row in sent:
        total = totals.setdefault(row[key], [0, 0])
        total[0] += int(row["messages"])
        total[1] += int(row["sends"])
    found: list[Row] = []
    for row in requests:
        messages, sends = totals.get(row[key], (0, 0))
        found.append({**row, "messages": messages, "sends": sends})
    return found
