"""Reports about a domain: taken in once, told as results for each source of mail, and what they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains import manage
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.reports import repository
from penguinmails_core.domains.reports.ladder import Proposal, Totals, propose, step_from
from penguinmails_core.domains.reports.reading import Report
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.principal import Principal


@dataclass(frozen=True, slots=True)
class Taken:
    """`new` is False for a report that was there already."""

    report: Report
    new: bool


@dataclass(frozen=True, slots=True)
class Sources:
    """Of `days` until now: the largest sources, and what the reports allow."""

    days: int
    totals: Totals
    sources: Sequence[Any]
    proposal: Proposal


async def take(session: AsyncSession, principal: Principal, domain_id: UUID, report: Report) -> Taken:
    """Raises `NotFound`, and `Unprocessable` for a report about another domain."""
    manage.require_live(principal)
    domain = await manage.get(session, principal, domain_id)
    if report.domain != domain.row.name and not domain.row.name.endswith(f".{report.domain}"):
        detail = f"The report is about {report.domain}, not {domain.row.name}."
        raise Unprocessable(detail, errors=[FieldError("/content", "other_domain", detail)])
    return Taken(report, await repository.insert(session, domain.row.organization_id, domain.row.id, report))


async def sources_of(
    session: AsyncSession,
    principal: Principal,
    domain_id: UUID,
    days: int,
    *,
    policy: DnsPolicy = manage.NO_POLICY,
    now: datetime | None = None,
) -> Sources:
    """Raises `NotFound`."""
    domain = await manage.get(session, principal, domain_id, policy=policy)
    moment, where = now or utcnow(), (domain.row.organization_id, domain.row.id)
    sources = await repository.sources(session, *where, moment - timedelta(days=days))
    totals = await repository.totals(session, *where, moment - timedelta(days=days))
    current = domain.options.dmarc_policy
    step = step_from(current)
    looked_at = await repository.totals(session, *where, moment - timedelta(days=step.days)) if step else totals
    return Sources(days, totals, sources, propose(current, looked_at))
