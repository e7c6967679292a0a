"""Register, change, rotate, approve and delete OAuth apps, for the people of an organization.

Nobody hands out more than they have: an app, its secret and its redirect URIs can be made or changed only by those who
have every scope that the app has, since whoever holds them acts as the app. OAuth apps make no apps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.api_keys import authority
from penguinmails_core.api_keys.grants import Grant as Power
from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, NotFound, OwnersOnly, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.members import authority as members
from penguinmails_core.models import OAuthApp, OAuthApproval
from penguinmails_core.oauth import app_rules
from penguinmails_core.oauth import apps_repository as repository
from penguinmails_core.oauth.records import CLIENT_GRANT
from penguinmails_core.oauth.scopes import api_scopes, in_order
from penguinmails_core.oauth.secrets import Kind, digest, hint, new_secret
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope, expand

MAX_APPS = 200
DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=7)
_TOLD = ("name", "confidential", "redirect_uris", "grant_types", "scopes", "id_token_alg", "dpop_bound")


async def create(session: AsyncSession, principal: Principal, values: Mapping[str, Any]) -> tuple[OAuthApp, str | None]:
    """An app and its secret, which is never available again; None for a public app (one that cannot keep secrets).

    Raises `Unprocessable` naming fields, `GrantExceeded`, `Conflict` at 200 apps.
    """
    wanted = {"mode": principal.mode, "workspace_id": principal.workspace_id} | dict(values)
    _refuse([*app_rules.check(wanted), *app_rules.check_whole(wanted)])
    wanted["scopes"] = in_order(wanted["scopes"])
    app = OAuthApp(organization_id=principal.organization_id, id=new_uuid(), created_by=principal.user_id, **wanted)
    await _check_power(session, principal, app)
    if await repository.count_for_update(session, principal.organization_id) >= MAX_APPS:
        raise Conflict(f"An organization has at most {MAX_APPS} apps. Delete one first.", extra={"limit": MAX_APPS})
    secret = new_secret(Kind.CLIENT_SECRET) if app.confidential else None
    if secret is not None:
        app.secret_hash, app.secret_hint = digest(secret), hint(secret)
    session.add(app)
    await session.flush()
    await session.refresh(app)
    await audit.record(session, principal, "oauth_app.created", _resource(app), after=audit.facts(app, *_TOLD))
    return app, secret


async def get(session: AsyncSession, principal: Principal, app_id: UUID, *, lock: bool = False) -> OAuthApp:
    """Raises `NotFound` for what the caller may not see."""
    app = await repository.get(session, principal, app_id, lock=lock)
    if app is None:
        raise NotFound("There is no such OAuth app.")
    return app


async def list_apps(
    session: AsyncSession,
    principal: Principal,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[OAuthApp], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_apps(session, principal, limit=limit + 1, after=after, before=before)
    return cut(found, limit, backwards=before is not None)


async def update(session: AsyncSession, principal: Principal, app_id: UUID, changes: Mapping[str, Any]) -> OAuthApp:
    """`changes` holds only what is to be changed. Fewer scopes count for tokens that are out, at once."""
    app = await get(session, principal, app_id, lock=True)
    await _check_power(session, principal, app)
    before = audit.facts(app, *_TOLD)
    whole = {name: getattr(app, name) for name in _TOLD} | dict(changes)
    _refuse([*app_rules.check(changes), *app_rules.check_whole(whole)])
    for name, value in changes.items():
        setattr(app, name, in_order(value) if name == "scopes" else value)
    await _check_power(session, principal, app)
    app.updated_at = func.now()
    await session.flush()
    await session.refresh(app)
    await audit.record(session, principal, "oauth_app.updated", _resource(app), before, audit.facts(app, *_TOLD))
    return app


async def rotate_secret(
    session: AsyncSession, principal: Principal, app_id: UUID, overlap: timedelta = DEFAULT_OVERLAP
) -> tuple[OAuthApp, str]:
    """A new secret, not shown again. The one before works for `overlap` more. Raises `Conflict` for a public app."""
    app = await get(session, principal, app_id, lock=True)
    await _check_power(session, principal, app)
    if not app.confidential:
        raise Conflict("This app has no secret: it is public, and proves itself with PKCE.")
    secret = new_secret(Kind.CLIENT_SECRET)
    expires: datetime | None = utcnow() + overlap if overlap else None
    app.previous_secret_hash = app.secret_hash if expires else None
    app.previous_secret_expires_at = expires
    app.secret_hash, app.secret_hint = digest(secret), hint(secret)
    app.updated_at = func.now()
    await session.flush()
    await session.refresh(app)
    await audit.record(session, principal, "oauth_app.secret_rotated", _resource(app))
    return app, secret


async def delete(session: AsyncSession, principal: Principal, app_id: UUID) -> OAuthApp:
    """Ends every token of it. Grants of other organizations are for the caller to revoke, after the commit, with
    `apps_repository.revoke_grants_everywhere`; without their app they open nothing meanwhile."""
    app = await get(session, principal, app_id, lock=True)
    await _check_power(session, principal, app)
    await repository.revoke_grants(session, principal.organization_id, app.id, "app_deleted")
    await session.delete(app)
    await session.flush()
    await audit.record(session, principal, "oauth_app.deleted", _resource(app), before=audit.facts(app, *_TOLD))
    return app


async def approve(session: AsyncSession, principal: Principal, app: OAuthApp | None) -> OAuthApp:
    """An owner lets an app that registered itself have all it asked for, in this organization. `app` is what
    `apps_repository.dynamic_app` found. Harmless when done already. Raises `OwnersOnly`, `NotFound`."""
    app = await _as_owner(session, principal, app)
    if await repository.approval(session, principal.organization_id, app.id) is None:
        session.add(OAuthApproval(organization_id=principal.organization_id, id=app.id, approved_by=principal.user_id))
        await session.flush()
        await audit.record(session, principal, "oauth_app.approved", _resource(app), after=_asked(app))
    return app


async def withdraw_approval(session: AsyncSession, principal: Principal, app: OAuthApp | None) -> OAuthApp:
    """The app keeps what it has without: its grants in this organization become narrower at once. As `approve`."""
    app = await _as_owner(session, principal, app)
    if await repository.approval(session, principal.organization_id, app.id) is not None:
        await repository.withdraw_approval(session, principal.organization_id, app.id)
        await repository.narrow_grants(session, principal.organization_id, app.id, app.scopes)
        await audit.record(session, principal, "oauth_app.approval_withdrawn", _resource(app), before=_asked(app))
    return app


async def is_approved(session: AsyncSession, principal: Principal, app: OAuthApp) -> bool:
    """Whether an app that registered itself may have all it asked for here; one of the organization's own always."""
    if app.origin != "dynamic":
        return True
    return await repository.approval(session, principal.organization_id, app.id) is not None


async def _as_owner(session: AsyncSession, principal: Principal, app: OAuthApp | None) -> OAuthApp:
    authority = await members.authority_of(session, principal, Scope.OAUTH_APPS_WRITE)
    if not authority.is_owner:
        raise OwnersOnly("Only an owner who is signed in approves apps that registered themselves.")
    if app is None:
        raise NotFound("There is no such app that registered itself. Apps of the organization need no approval.")
    return app


def _asked(app: OAuthApp) -> dict[str, Any]:
    return {"name": app.name, "scopes": in_order([*app.scopes, *app.requested_scopes])}


async def _check_power(session: AsyncSession, principal: Principal, app: OAuthApp) -> None:
    """Raises `GrantExceeded`. An app that acts alone escapes the caller's limits (addresses, caps, lifetime) too."""
    authority.refuse_apps(principal)
    own, _ = await authority.own(session, principal)
    power = Power(scopes=expand(api_scopes(app.scopes)), mode=app.mode, workspace_id=app.workspace_id)
    if CLIENT_GRANT not in app.grant_types:
        power = replace(own, scopes=power.scopes, mode=power.mode, workspace_id=power.workspace_id)
    authority.check_excess(power.excess(own))


def _refuse(errors: list[Any]) -> None:
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)


def _resource(app: OAuthApp) -> Resource:
    return Resource(Prefix.OAUTH_APP, app.id, app.workspace_id)
