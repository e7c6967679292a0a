"""What was granted to apps: list it, and take it back. Whoever calls rings the doorbell `TOKENS` after the commit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.errors import NotFound
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import OAuthGrant
from penguinmails_core.oauth import grants_repository as repository
from penguinmails_core.principal import Principal


async def get(session: AsyncSession, principal: Principal, grant_id: UUID, *, lock: bool = False) -> OAuthGrant:
    """Raises `NotFound` for what the caller may not see."""
    grant = await repository.get(session, principal, grant_id, lock=lock)
    if grant is None:
        raise NotFound("There is no such grant.")
    return grant


async def list_grants(
    session: AsyncSession,
    principal: Principal,
    *,
    app_id: UUID | None = None,
    user_id: UUID | None = None,
    active: bool | None = None,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[OAuthGrant], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_grants(
        session, principal, app_id=app_id, user_id=user_id, active=active, limit=limit + 1, after=after, before=before
    )
    return cut(found, limit, backwards=before is not None)


async def revoke(session: AsyncSession, principal: Principal, grant_id: UUID) -> OAuthGrant:
    """Every token of it ends. Harmless when done already."""
    grant = await get(session, principal, grant_id, lock=True)
    if grant.revoked_at is None:
        grant.revoked_at = func.now()
        grant.revoked_reason = "organization"
        await session.flush()
        await session.refresh(grant)
        resource = Resource(Prefix.OAUTH_GRANT, grant.id, grant.workspace_id)
        await audit.record(session, principal, "oauth_grant.revoked", resource, before={"app": grant.app_name})
    return grant


async def apps_of_person(database: Database, user_id: UUID) -> list[Any]:
    """One row for each app and organization, the last used first."""
    return await repository.apps_of_person(database.worker, user_id)


async def disconnect(database: Database, user_id: UUID, organization_id: UUID, app_id: UUID) -> None:
    """A person takes back all they granted to an app in one organization."""
    async with database.worker.acquire() as connection, connection.transaction():
        ended = await repository.revoke_app_of_person(connection, user_id, organization_id, app_id)
        for grant_id in ended:
            resource = Resource(Prefix.OAUTH_GRANT, grant_id)
            await audit.record_on(connection, Actor.user(organization_id, user_id), "oauth_grant.revoked", resource)
