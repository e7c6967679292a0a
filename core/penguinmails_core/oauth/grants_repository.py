"""SQL of grants, as an organization, or the person who granted, sees them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import OAuthGrant
from penguinmails_core.principal import Principal, PrincipalKind


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization, own mode (a person in a session sees both); own workspace when bound to one. Only grants that
    were used: a consent whose code nobody fetched opens nothing."""
    conditions = [
        OAuthGrant.organization_id == principal.organization_id,
        or_(OAuthGrant.activated_at.is_not(None), OAuthGrant.revoked_at.is_not(None)),
    ]
    if principal.kind is not PrincipalKind.SESSION:
        conditions.append(OAuthGrant.mode == principal.mode)
    if principal.workspace_id is not None:
        conditions.append(OAuthGrant.workspace_id == principal.workspace_id)
    return conditions


async def get(session: AsyncSession, principal: Principal, grant_id: UUID, *, lock: bool = False) -> OAuthGrant | None:
    query = select(OAuthGrant).where(*_visible(principal), OAuthGrant.id == grant_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def list_grants(
    session: AsyncSession,
    principal: Principal,
    *,
    app_id: UUID | None,
    user_id: UUID | None,
    active: bool | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[OAuthGrant]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(OAuthGrant).where(*_visible(principal))
    if app_id is not None:
        query = query.where(OAuthGrant.app_id == app_id)
    if user_id is not None:
        query = query.where(OAuthGrant.user_id == user_id)
    if active is not None:
        query = query.where(OAuthGrant.revoked_at.is_(None) if active else OAuthGrant.revoked_at.is_not(None))
    return await newest_first(session, query, OAuthGrant.id, limit, after, before)


async def revoke_of_user(session: AsyncSession, organization_id: UUID, user_id: UUID, reason: str) -> None:
    await session.execute(
        update(OAuthGrant)
        .where(
            OAuthGrant.organization_id == organization_id,
            OAuthGrant.user_id == user_id,
            OAuthGrant.revoked_at.is_(None),
        )
        .values(revoked_at=func.now(), revoked_reason=reason)
        .execution_options(synchronize_session=False)
    )


# ---- across organizations, as `worker`: the page of a person's connected apps

_OF_PERSON = """
select g.organization_id, g.app_id, o.name as organization, max(a.name) as name, max(g.app_name) as name_then,
  bool_or(a.origin = 'dynamic') as dynamic, max(a.client_uri) as client_uri, min(g.created_at) as since,
  max(g.last_used_at) as last_used_at, array_agg(distinct s.scope) filter (where s.scope is not null) as scopes
from oauth_grants g
join organizations o on o.id = g.organization_id
left join oauth_apps a on a.id = g.app_id
left join lateral unnest(g.scopes) as s (scope) on true
where g.user_id = $1 and g.revoked_at is null and g.activated_at is not null
group by g.organization_id, g.app_id, o.name
order by max(g.last_used_at) desc nulls last"""

_REVOKE_OF_PERSON = """
update oauth_grants set revoked_at = now(), revoked_reason = 'person'
where user_id = $1 and organization_id = $2 and app_id = $3 and revoked_at is null returning id"""


async def apps_of_person(pool: Pool, user_id: UUID) -> list[Any]:
    """One row for each app and organization, the last used first."""
    return list(await pool.fetch(_OF_PERSON, user_id))


async def revoke_app_of_person(connection: Any, user_id: UUID, organization_id: UUID, app_id: UUID) -> list[UUID]:
    """The grants that ended."""
    return [row["id"] for row in await connection.fetch(_REVOKE_OF_PERSON, user_id, organization_id, app_id)]
