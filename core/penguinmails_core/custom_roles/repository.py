"""SQL for custom roles."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import Invitation, Member, Role


async def get(session: AsyncSession, organization_id: UUID, role_id: UUID) -> Role | None:
    return await session.scalar(
        select(Role)
        .where(Role.organization_id == organization_id, Role.id == role_id)
        .execution_options(populate_existing=True)
    )


async def list_roles(session: AsyncSession, organization_id: UUID) -> list[Role]:
    """By name."""
    found = await session.scalars(
        select(Role).where(Role.organization_id == organization_id).order_by(func.lower(Role.name), Role.id)
    )
    return list(found)


async def name_taken(session: AsyncSession, organization_id: UUID, name: str, except_id: UUID | None) -> bool:
    found = await session.scalar(
        select(Role.id).where(
            Role.organization_id == organization_id,
            func.lower(Role.name) == func.lower(name),
            Role.id.is_distinct_from(except_id),
        )
    )
    return found is not None


async def in_use(session: AsyncSession, role: Role) -> bool:
    """By a member, or by an invitation that can still be accepted."""
    found = await session.scalar(
        select(
            or_(
                exists().where(Member.organization_id == role.organization_id, Member.custom_role_id == role.id),
                exists().where(
                    Invitation.organization_id == role.organization_id,
                    Invitation.custom_role_id == role.id,
                    Invitation.accepted_at.is_(None),
                    Invitation.revoked_at.is_(None),
                    Invitation.expires_at > func.now(),
                ),
            )
        )
    )
    return bool(found)


async def users_with(session: AsyncSession, role: Role) -> list[UUID]:
    found = await session.scalars(
        select(Member.user_id)
        .where(Member.organization_id == role.organization_id, Member.custom_role_id == role.id)
        .order_by(Member.user_id)
    )
    return list(found)


async def forget_ended_invitations(session: AsyncSession, role: Role) -> None:
    """They name the role, and the audit log tells what they were."""
    await session.execute(
        delete(Invitation).where(
            Invitation.organization_id == role.organization_id, Invitation.custom_role_id == role.id
        )
    )
