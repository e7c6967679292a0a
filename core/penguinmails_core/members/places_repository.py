"""SQL for what a place consists of."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import Role, Workspace


async def scopes_of_role(session: AsyncSession, organization_id: UUID, role_id: UUID) -> list[str] | None:
    return await session.scalar(select(Role.scopes).where(Role.organization_id == organization_id, Role.id == role_id))


async def usable_workspaces(session: AsyncSession, organization_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Those that exist and are not archived."""
    found = await session.scalars(
        select(Workspace.id).where(
            Workspace.organization_id == organization_id, Workspace.id.in_(ids), Workspace.archived_at.is_(None)
        )
    )
    return set(found)
