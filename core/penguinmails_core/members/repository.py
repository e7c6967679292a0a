"""SQL for members: who belongs to an organization, and what they may do there."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import Member, Role, Workspace, WorkspaceMember


@dataclass(frozen=True, slots=True)
class Standing:
    """A member with what the role means now. `scopes` are those of a custom role, else none."""

    member: Member
    scopes: list[str] | None


async def standing_of(session: AsyncSession, organization_id: UUID, user_id: UUID) -> Standing | None:
    row = (
        await session.execute(
            select(Member, Role.scopes)
            .outerjoin(Role, (Role.organization_id == Member.organization_id) & (Role.id == Member.custom_role_id))
            .where(Member.organization_id == organization_id, Member.user_id == user_id)
        )
    ).one_or_none()
    return Standing(row[0], row[1]) if row else None


async def workspaces_of(session: AsyncSession, member: Member) -> list[WorkspaceMember]:
    """Of a limited member: archived ones last, then the oldest first."""
    found = await session.scalars(
        select(WorkspaceMember)
        .join(
            Workspace,
            (Workspace.organization_id == WorkspaceMember.organization_id)
            & (Workspace.id == WorkspaceMember.workspace_id),
        )
        .where(
            WorkspaceMember.organization_id == member.organization_id,
            WorkspaceMember.member_id == member.id,
        )
        .order_by(Workspace.archived_at.is_not(None), WorkspaceMember.workspace_id)
    )
    return list(found)
