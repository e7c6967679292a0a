"""SQL of lanes as an organization sees them. Role `app`: row-level security lets it see the lanes that it has mail in,
their decisions, and its own counters and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import Lane, LaneDay, LaneDecision, LaneEvidence, LaneMember
from penguinmails_core.principal import Principal

# What `app` may read of `lanes`; how much others send is not in it.
_COLUMNS = (
    Lane.id,
    Lane.source,
    Lane.provider_group,
    Lane.paused_until,
    Lane.pause_rule,
    Lane.pause_reason,
    Lane.factor,
    Lane.connections,
    Lane.crawl_until,
    Lane.crawl_per_second,
    Lane.daily_cap,
    Lane.cap_reason,
    Lane.created_at,
    Lane.updated_at,
)


def _lanes(principal: Principal) -> Any:
    today = datetime.now(UTC).date()
    mine = and_(LaneMember.lane_id == Lane.id, LaneMember.organization_id == principal.organization_id)
    day = and_(LaneDay.lane_id == Lane.id, LaneDay.organization_id == principal.organization_id, LaneDay.day == today)
    return (
        select(*_COLUMNS, LaneMember.paused_at, LaneMember.pause_note, LaneDay)
        .join(LaneMember, mine)
        .outerjoin(LaneDay, day)
    )


async def list_lanes(
    session: AsyncSession, principal: Principal, *, limit: int, after: UUID | None, before: UUID | None
) -> list[Row[Any]]:
    query = _lanes(principal)
    if before is not None:
        rows = await session.execute(query.where(Lane.id > before).order_by(Lane.id).limit(limit))
        return list(rows)[::-1]
    if after is not None:
        query = query.where(Lane.id < after)
    return list(await session.execute(query.order_by(Lane.id.desc()).limit(limit)))


async def get_lane(session: AsyncSession, principal: Principal, lane_id: UUID) -> Row[Any] | None:
    found: Row[Any] | None = (await session.execute(_lanes(principal).where(Lane.id == lane_id))).one_or_none()
    return found


async def list_decisions(
    session: AsyncSession, lane_id: UUID, *, limit: int, after: UUID | None, before: UUID | None
) -> list[LaneDecision]:
    query = select(LaneDecision).where(LaneDecision.lane_id == lane_id)
    if before is not None:
        found = await session.scalars(query.where(LaneDecision.id > before).order_by(LaneDecision.id).limit(limit))
        return list(found)[::-1]
    if after is not None:
        query = query.where(LaneDecision.id < after)
    return list(await session.scalars(query.order_by(LaneDecision.id.desc()).limit(limit)))


async def evidence(session: AsyncSession, principal: Principal, decisions: Sequence[UUID]) -> list[LaneEvidence]:
    """The organization's own."""
    query = (
        select(LaneEvidence)
        .where(LaneEvidence.organization_id == principal.organization_id, LaneEvidence.decision_id.in_(decisions))
        .order_by(LaneEvidence.id)
    )
    return list(await session.scalars(query))


async def set_pause(session: AsyncSession, principal: Principal, lane_id: UUID, paused: bool, note: str | None) -> None:
    """Pausing again keeps when it began."""
    await session.execute(
        update(LaneMember)
        .where(LaneMember.organization_id == principal.organization_id, LaneMember.lane_id == lane_id)
        .values(
            paused_at=func.coalesce(LaneMember.paused_at, func.now()) if paused else None,
            pause_note=note if paused else None,
            updated_at=func.now(),
        )
    )


async def lock_member(session: AsyncSession, principal: Principal, lane_id: UUID) -> LaneMember | None:
    query = (
        select(LaneMember)
        .where(LaneMember.organization_id == principal.organization_id, LaneMember.lane_id == lane_id)
        .with_for_update()
    )
    found: LaneMember | None = await session.scalar(query)
    return found
