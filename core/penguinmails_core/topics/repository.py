"""SQL of topics."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import Topic
from penguinmails_core.principal import Principal


async def get(session: AsyncSession, principal: Principal, topic_id: UUID, *, lock: bool = False) -> Topic | None:
    query = select(Topic).where(
        Topic.organization_id == principal.organization_id, Topic.mode == principal.mode, Topic.id == topic_id
    )
    return await session.scalar(query.with_for_update() if lock else query)


async def list_topics(
    session: AsyncSession, principal: Principal, *, limit: int, after: UUID | None, before: UUID | None
) -> list[Topic]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(Topic).where(Topic.organization_id == principal.organization_id, Topic.mode == principal.mode)
    return await newest_first(session, query, Topic.id, limit, after, before)


async def count(session: AsyncSession, principal: Principal) -> int:
    query = (
        select(func.count())
        .select_from(Topic)
        .where(Topic.organization_id == principal.organization_id, Topic.mode == principal.mode)
    )
    return await session.scalar(query) or 0


async def live(session: AsyncSession, organization_id: UUID) -> list[Topic]:
    """For preference pages."""
    query = select(Topic).where(Topic.organization_id == organization_id, Topic.mode == "live").order_by(Topic.name)
    return list(await session.scalars(query))
