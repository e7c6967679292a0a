"""SQL of connections, their domains and SCIM tokens, as a caller sees them. Signing in has SQL of its own."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import ScimToken, SsoConnection, SsoDomain, SsoIdentity


async def count_for_update(session: AsyncSession, organization_id: UUID) -> int:
    """Connections of an organization; who asks at the same time waits."""
    await session.execute(text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": f"sso:{organization_id}"})
    count = await session.scalar(
        select(func.count()).select_from(SsoConnection).where(SsoConnection.organization_id == organization_id)
    )
    return count or 0


async def get(
    session: AsyncSession, organization_id: UUID, connection_id: UUID, *, lock: bool = False
) -> SsoConnection | None:
    query = select(SsoConnection).where(
        SsoConnection.organization_id == organization_id, SsoConnection.id == connection_id
    )
    return await session.scalar(query.with_for_update() if lock else query)


async def list_connections(
    session: AsyncSession, organization_id: UUID, *, limit: int, after: UUID | None, before: UUID | None
) -> list[SsoConnection]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(SsoConnection).where(SsoConnection.organization_id == organization_id)
    return await newest_first(session, query, SsoConnection.id, limit, after, before)


async def domains_of(
    session: AsyncSession, organization_id: UUID, connection_ids: Sequence[UUID]
) -> dict[UUID, list[SsoDomain]]:
    """Of each connection, by name."""
    found: dict[UUID, list[SsoDomain]] = {connection_id: [] for connection_id in connection_ids}
    query = select(SsoDomain).where(
        SsoDomain.organization_id == organization_id, SsoDomain.connection_id.in_(connection_ids)
    )
    for row in await session.scalars(query.order_by(SsoDomain.name)):
        found[row.connection_id].append(row)
    return found


def _tokens(organization_id: UUID, connection_id: UUID) -> Select[ScimToken]:
    return select(ScimToken).where(
        ScimToken.organization_id == organization_id, ScimToken.connection_id == connection_id
    )


async def list_tokens(session: AsyncSession, organization_id: UUID, connection_id: UUID) -> list[ScimToken]:
    """The newest first, revoked ones too."""
    return list(await session.scalars(_tokens(organization_id, connection_id).order_by(ScimToken.id.desc())))


async def get_token(
    session: AsyncSession, organization_id: UUID, connection_id: UUID, token_id: UUID
) -> ScimToken | None:
    query = _tokens(organization_id, connection_id).where(ScimToken.id == token_id)
    found: ScimToken | None = await session.scalar(query.with_for_update())
    return found


async def forget_identities(session: AsyncSession, row: SsoConnection) -> None:
    await session.execute(
        delete(SsoIdentity).where(
            SsoIdentity.organization_id == row.organization_id, SsoIdentity.connection_id == row.id
        )
    )
