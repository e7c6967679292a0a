"""SQL of what was provisioned. Tokens and people are looked up as `worker`: no organization is known yet, or ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.models import Member, ScimResource, SsoDomain


async def connection_of_token(worker: Pool, digest: bytes) -> Any | None:
    """The active connection of a token that is neither revoked nor expired."""
    return await worker.fetchrow(
        """
        select t.id as token_id, c.organization_id, c.id as connection_id, c.name, c.default_role, c.group_roles
        from scim_tokens t
        join sso_connections c on c.organization_id = t.organization_id and c.id = t.connection_id
        where t.hash = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
          and c.status = 'active'""",
        digest,
    )


async def touch_token(worker: Pool, organization_id: UUID, token_id: UUID) -> None:
    """At most once a minute: providers ask many times a second."""
    await worker.execute(
        "update scim_tokens set last_used_at = now() where organization_id = $1 and id = $2 "
        "and (last_used_at is null or last_used_at < now() - interval '1 minute')",
        organization_id,
        token_id,
    )


async def user_by_email(worker: Pool | Connection, email: str) -> UUID | None:
    found: UUID | None = await worker.fetchval("select id from users where lower(email) = lower($1)", email)
    return found


async def other_memberships(worker: Pool, user_id: UUID) -> int:
    count: int = await worker.fetchval("select count(*) from members where user_id = $1", user_id)
    return count


def _all(organization_id: UUID, connection_id: UUID) -> Select[ScimResource]:
    return (
        select(ScimResource)
        .where(ScimResource.organization_id == organization_id, ScimResource.connection_id == connection_id)
        .execution_options(populate_existing=True)
    )


async def get(
    session: AsyncSession,
    organization_id: UUID,
    connection_id: UUID,
    kind: str,
    resource_id: UUID,
    *,
    lock: bool = False,
) -> ScimResource | None:
    query = _all(organization_id, connection_id).where(
        ScimResource.resource_type == kind, ScimResource.id == resource_id
    )
    found: ScimResource | None = await session.scalar(query.with_for_update() if lock else query)
    return found


async def candidates(
    session: AsyncSession,
    organization_id: UUID,
    connection_id: UUID,
    kinds: Sequence[str],
    *,
    unique_name: str | None = None,
    external_id: str | None = None,
) -> list[ScimResource]:
    """The oldest first."""
    query = _all(organization_id, connection_id).where(ScimResource.resource_type.in_(kinds))
    if unique_name is not None:
        query = query.where(ScimResource.unique_name == unique_name)
    if external_id is not None:
        query = query.where(ScimResource.external_id == external_id)
    return list(await session.scalars(query.order_by(ScimResource.id)))


async def name_is_taken(session: AsyncSession, row: ScimResource, name: str) -> bool:
    """Whether another resource of the same kind and connection has it."""
    found = await session.scalar(
        select(ScimResource.id).where(
            ScimResource.organization_id == row.organization_id,
            ScimResource.connection_id == row.connection_id,
            ScimResource.resource_type == row.resource_type,
            ScimResource.unique_name == name,
            ScimResource.id != row.id,
        )
    )
    return found is not None


async def is_another(session: AsyncSession, row: ScimResource, user_id: UUID) -> bool:
    """Whether the person is another user of the same connection already."""
    found = await session.scalar(
        select(ScimResource.id).where(
            ScimResource.organization_id == row.organization_id,
            ScimResource.connection_id == row.connection_id,
            ScimResource.user_id == user_id,
            ScimResource.id != row.id,
        )
    )
    return found is not None


async def proven_domains(session: AsyncSession, organization_id: UUID, connection_id: UUID) -> set[str]:
    query = select(SsoDomain.name).where(
        SsoDomain.organization_id == organization_id,
        SsoDomain.connection_id == connection_id,
        SsoDomain.verified_at.is_not(None),
    )
    return set(await session.scalars(query))


async def member_of(session: AsyncSession, organization_id: UUID, user_id: UUID) -> Member | None:
    query = select(Member).where(Member.organization_id == organization_id, Member.user_id == user_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def people_of(
    session: AsyncSession, organization_id: UUID, connection_id: UUID, resource_ids: Collection[UUID]
) -> list[ScimResource]:
    """Users with a person behind them, of these resources."""
    query = _all(organization_id, connection_id).where(
        ScimResource.id.in_(resource_ids), ScimResource.user_id.is_not(None)
    )
    return list(await session.scalars(query.order_by(ScimResource.id)))


async def not_members(session: AsyncSession, organization_id: UUID, connection_id: UUID) -> int:
    """Active users of a connection without a person behind them: no address of theirs is in a proven domain."""
    rows = await session.scalars(
        _all(organization_id, connection_id).where(ScimResource.resource_type == "User", ScimResource.user_id.is_(None))
    )
    return sum(row.document.get("active") is not False for row in rows)
