"""SQL for organizations and their workspaces."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.models import OAuthGrant, Organization, User, Workspace

SYSTEM_ORGANIZATION_ID = UUID("00000000-0000-7000-8000-000000000001")  # see `system_mail`


async def insert(connection: Connection, organization_id: UUID, name: str) -> None:
    """As `worker`: nobody is bound to an organization that does not exist yet."""
    await connection.execute("insert into organizations (id, name) values ($1, $2)", organization_id, name)


async def insert_workspace(
    connection: Connection, organization_id: UUID, workspace_id: UUID, name: str, slug: str, is_default: bool
) -> None:
    await connection.execute(
        "insert into workspaces (organization_id, id, name, slug, is_default) values ($1, $2, $3, $4, $5)",
        organization_id,
        workspace_id,
        name,
        slug,
        is_default,
    )


async def insert_owner(connection: Connection, organization_id: UUID, member_id: UUID, user_id: UUID) -> None:
    """As `worker`: the first member of a new organization."""
    await connection.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'owner')",
        organization_id,
        member_id,
        user_id,
    )


async def list_all(pool: Pool) -> list[tuple[UUID, str]]:
    """As `worker`: for the operator of the machine. The server's own organization is nobody's."""
    rows = await pool.fetch("select id, name from organizations where id <> $1 order by id", SYSTEM_ORGANIZATION_ID)
    return [(row["id"], row["name"]) for row in rows]


async def wait_in_line(session: AsyncSession, user_id: UUID) -> None:
    """Until the commit, nobody else makes an organization for this person."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('organizations of ' || :person, 0))"),
        {"person": str(user_id)},
    )


async def count_owned(worker: Pool, user_id: UUID) -> int:
    """As `worker`: of all organizations."""
    count: int = await worker.fetchval("select count(*) from members where user_id = $1 and role = 'owner'", user_id)
    return count


async def get(session: AsyncSession, organization_id: UUID) -> Organization | None:
    return await session.scalar(select(Organization).where(Organization.id == organization_id))


async def app_name_of(session: AsyncSession, organization_id: UUID, grant_id: UUID) -> str | None:
    """As the app was called when it got the grant."""
    return await session.scalar(
        select(OAuthGrant.app_name).where(OAuthGrant.organization_id == organization_id, OAuthGrant.id == grant_id)
    )


async def get_default_workspace(session: AsyncSession, organization_id: UUID) -> Workspace | None:
    return await session.scalar(
        select(Workspace).where(Workspace.organization_id == organization_id, Workspace.is_default)
    )


async def get_workspace(session: AsyncSession, organization_id: UUID, workspace_id: UUID) -> Workspace | None:
    return await session.scalar(
        select(Workspace).where(Workspace.organization_id == organization_id, Workspace.id == workspace_id)
    )


async def get_user(session: AsyncSession, user_id: UUID) -> User | None:
    """Members of the organization that the session is bound to are seen, nobody else."""
    return await session.scalar(select(User).where(User.id == user_id))
