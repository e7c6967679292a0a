"""SQL of OAuth apps and approvals, as their organization sees them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import NOBODY, OAuthApp, OAuthApproval, OAuthGrant
from penguinmails_core.principal import Principal, PrincipalKind


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization; own workspace when bound to one; own mode, but a person in a session sees both."""
    conditions = [OAuthApp.organization_id == principal.organization_id]
    if principal.kind is not PrincipalKind.SESSION:
        conditions.append(OAuthApp.mode == principal.mode)
    if principal.workspace_id is not None:
        conditions.append(OAuthApp.workspace_id == principal.workspace_id)
    return conditions


async def get(session: AsyncSession, principal: Principal, app_id: UUID, *, lock: bool = False) -> OAuthApp | None:
    query = select(OAuthApp).where(*_visible(principal), OAuthApp.id == app_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def list_apps(
    session: AsyncSession, principal: Principal, *, limit: int, after: UUID | None, before: UUID | None
) -> list[OAuthApp]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(OAuthApp).where(*_visible(principal))
    return await newest_first(session, query, OAuthApp.id, limit, after, before)


async def count_for_update(session: AsyncSession, organization_id: UUID) -> int:
    """How many there are; others who ask wait for this transaction."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('oauth apps ' || :organization, 0))"),
        {"organization": str(organization_id)},
    )
    count = await session.scalar(
        select(func.count()).select_from(OAuthApp).where(OAuthApp.organization_id == organization_id)
    )
    return count or 0


async def approval(session: AsyncSession, organization_id: UUID, app_id: UUID) -> OAuthApproval | None:
    return await session.scalar(
        select(OAuthApproval).where(OAuthApproval.organization_id == organization_id, OAuthApproval.id == app_id)
    )


async def withdraw_approval(session: AsyncSession, organization_id: UUID, app_id: UUID) -> None:
    await session.execute(
        delete(OAuthApproval).where(OAuthApproval.organization_id == organization_id, OAuthApproval.id == app_id)
    )


async def narrow_grants(session: AsyncSession, organization_id: UUID, app_id: UUID, scopes: Sequence[str]) -> None:
    """Of one app in one organization, to what it has without approval."""
    await session.execute(
        text(
            "update oauth_grants set scopes = array(select s from unnest(scopes) s where s = any (:scopes)) "
            "where organization_id = :organization and app_id = :app and revoked_at is null"
        ),
        {"scopes": list(scopes), "organization": organization_id, "app": app_id},
    )


async def revoke_grants(session: AsyncSession, organization_id: UUID, app_id: UUID, reason: str) -> None:
    await session.execute(
        update(OAuthGrant)
        .where(
            OAuthGrant.organization_id == organization_id, OAuthGrant.app_id == app_id, OAuthGrant.revoked_at.is_(None)
        )
        .values(revoked_at=func.now(), revoked_reason=reason)
        .execution_options(synchronize_session=False)
    )


# ---- across organizations, as `worker`

_DYNAMIC = """
select id, mode, name, confidential, secret_hint, redirect_uris, grant_types, scopes, requested_scopes, client_uri,
  policy_uri, tos_uri, id_token_alg, dpop_bound, created_at, updated_at, last_used_at
from oauth_apps where organization_id = $1 and id = $2"""


async def dynamic_app(pool: Pool | Connection, app_id: UUID) -> OAuthApp | None:
    """An app that registered itself: it belongs to no organization, so `app` does not see it."""
    row = await pool.fetchrow(_DYNAMIC, NOBODY, app_id)
    return OAuthApp(organization_id=NOBODY, origin="dynamic", **dict(row)) if row is not None else None


async def revoke_grants_everywhere(pool: Pool, app_id: UUID, reason: str) -> None:
    await pool.execute(
        "update oauth_grants set revoked_at = now(), revoked_reason = $2 where app_id = $1 and revoked_at is null",
        app_id,
        reason,
    )
