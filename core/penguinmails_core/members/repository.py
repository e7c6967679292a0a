"""SQL for members: who belongs to an organization, and what they may do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, Uuid, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import Base, Member, Organization, Role, User, Workspace, WorkspaceMember
from penguinmails_core.principal import Principal
from penguinmails_core.roles import OrganizationRole


@dataclass(frozen=True, slots=True)
class Standing:
    """A member with what the role means now. `scopes` are those of a custom role, else none."""

    member: Member
    scopes: list[str] | None


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member with who that is."""

    member: Member
    email: str
    name: str | None
    role_name: str | None
    role_scopes: list[str] | None


async def lock(session: AsyncSession, organization_id: UUID) -> None:
    """Until the commit, nobody else changes people, roles or workspaces of the organization. It comes before the locks
    of keys and of the audit log, so that nobody waits in a ring."""
    await session.execute(
        select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
    )


async def standing_of(session: AsyncSession, organization_id: UUID, user_id: UUID) -> Standing | None:
    row = (
        await session.execute(
            select(Member, Role.scopes)
            .outerjoin(Role, _custom())
            .where(Member.organization_id == organization_id, Member.user_id == user_id)
            .execution_options(populate_existing=True)
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
        .where(WorkspaceMember.organization_id == member.organization_id, WorkspaceMember.member_id == member.id)
        .order_by(Workspace.archived_at.is_not(None), Workspace.created_at, Workspace.id)
        .execution_options(populate_existing=True)
    )
    return list(found)


async def workspaces_of_all(session: AsyncSession, members: Sequence[Member]) -> dict[UUID, list[WorkspaceMember]]:
    """By member id, for a page of them."""
    limited = [member.id for member in members if member.limited]
    found: dict[UUID, list[WorkspaceMember]] = {member_id: [] for member_id in limited}
    if limited:
        rows = await session.scalars(
            select(WorkspaceMember)
            .where(
                WorkspaceMember.organization_id == members[0].organization_id, WorkspaceMember.member_id.in_(limited)
            )
            .order_by(WorkspaceMember.workspace_id)
            .execution_options(populate_existing=True)
        )
        for row in rows:
            found[row.member_id].append(row)
    return found


def _custom() -> ColumnElement[bool]:
    return (Role.organization_id == Member.organization_id) & (Role.id == Member.custom_role_id)


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Who is bound to a workspace sees those who are limited to it or to others too, but nobody else."""
    conditions = [Member.organization_id == principal.organization_id]
    if principal.workspace_id is not None:
        conditions.append(
            exists().where(
                WorkspaceMember.organization_id == Member.organization_id,
                WorkspaceMember.member_id == Member.id,
                WorkspaceMember.workspace_id == principal.workspace_id,
            )
        )
    return conditions


async def get(session: AsyncSession, principal: Principal, member_id: UUID) -> MemberRow | None:
    found = await _rows(session, [*_visible(principal), Member.id == member_id], None, 1)
    return found[0] if found else None


async def list_members(
    session: AsyncSession,
    principal: Principal,
    roles: Sequence[str],
    email: str | None,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[MemberRow]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    conditions = _visible(principal)
    if roles:
        conditions.append(Member.role.in_(roles))
    if email is not None:
        conditions.append(func.lower(User.email) == func.lower(email))
    if before is not None:
        return (await _rows(session, [*conditions, Member.id > before], Member.id.asc(), limit))[::-1]
    if after is not None:
        conditions.append(Member.id < after)
    return await _rows(session, conditions, Member.id.desc(), limit)


async def _rows(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], order: ColumnElement[UUID] | None, limit: int
) -> list[MemberRow]:
    query = (
        select(Member, User.email, User.name, Role.name, Role.scopes)
        .join(User, User.id == Member.user_id)
        .outerjoin(Role, _custom())
        .where(*conditions)
        .order_by(order)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [MemberRow(*row) for row in (await session.execute(query)).all()]


async def is_member(session: AsyncSession, organization_id: UUID, email: str) -> bool:
    found = await session.scalar(
        select(Member.id)
        .join(User, User.id == Member.user_id)
        .where(Member.organization_id == organization_id, func.lower(User.email) == func.lower(email))
    )
    return found is not None


async def owners(session: AsyncSession, organization_id: UUID) -> list[Member]:
    """The one who has been a member for longest comes first."""
    found = await session.scalars(
        select(Member)
        .where(Member.organization_id == organization_id, Member.role == OrganizationRole.OWNER)
        .order_by(Member.created_at, Member.id)
        .execution_options(populate_existing=True)
    )
    return list(found)


async def replace_workspaces(session: AsyncSession, member: Member, places: Sequence[tuple[UUID, str]]) -> None:
    await session.execute(
        delete(WorkspaceMember).where(
            WorkspaceMember.organization_id == member.organization_id, WorkspaceMember.member_id == member.id
        )
    )
    for workspace_id, role in places:
        session.add(
            WorkspaceMember(
                organization_id=member.organization_id, member_id=member.id, workspace_id=workspace_id, role=role
            )
        )
    await session.flush()


def made_by_people() -> list[Table]:
    """Tables whose rows name the person who made them and looks after them, and may be given to another."""
    found = []
    for mapper in Base.registry.mappers:
        table = cast(Table, mapper.local_table)
        if "organization_id" not in table.columns or "update" not in mapper.class_.facts.app:
            continue
        # A column of text tells of the origin, for good.
        if "created_by" in table.columns and isinstance(table.c.created_by.type, Uuid):
            found.append(table)
    return sorted(found, key=lambda table: table.fullname)


async def hand_over(session: AsyncSession, organization_id: UUID, user_id: UUID, heir_id: UUID | None) -> None:
    """What a person made in the organization is somebody else's from now on, or nobody's."""
    for table in made_by_people():
        await session.execute(
            update(table)
            .where(table.c.organization_id == organization_id, table.c.created_by == user_id)
            .values(created_by=heir_id)
        )
