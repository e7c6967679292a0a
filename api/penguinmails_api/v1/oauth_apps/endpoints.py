"""`/v1/oauth_apps`: clients of the OAuth server that belong to the organization, and approval of those that do not."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.oauth_apps.schemas import (
    AppIdInPath,
    OAuthApp,
    OAuthAppCreate,
    OAuthAppList,
    OAuthAppListQuery,
    OAuthAppRotate,
    OAuthAppUpdate,
    OAuthAppWithSecret,
)
from penguinmails_core import models
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.oauth import apps, apps_repository
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/oauth_apps", tags=["oauth_apps"])
RotateBody = Annotated[OAuthAppRotate, Body(default_factory=OAuthAppRotate)]  # it may be left out
READ, WRITE = Scope.OAUTH_APPS_READ, Scope.OAUTH_APPS_WRITE


@router.post(
    "",
    summary="Register an OAuth app",
    status_code=201,
    response_model=OAuthAppWithSecret,
    **operation("oauth_apps_create", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def create_app(request: Request, body: OAuthAppCreate) -> Response:
    """People of any organization can let it in; what it gets is for each of them to say. The secret of a confidential
    app is shown this once. It can ask for at most the scopes that you have, and acts on data of your mode."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> OAuthAppWithSecret:
        return OAuthAppWithSecret.of(*await apps.create(session, caller, body.given()))

    return await answer_once(request, work, status=201, redact=("client_secret",))


@router.get("", summary="List OAuth apps", **operation("oauth_apps_list", scope=READ, paginated=True))
async def list_apps(context: Context, query: Annotated[OAuthAppListQuery, Query()]) -> OAuthAppList:
    """Those of the organization, the newest first. Apps of others that people here let in are among the grants."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await apps.list_apps(session, caller, **query.place())
    return OAuthAppList.of(*page, backwards=query.backwards)


@router.get("/{oauth_app_id}", summary="Get an OAuth app", **operation("oauth_apps_get", scope=READ))
async def get_app(context: Context, oauth_app_id: AppIdInPath) -> OAuthApp:
    """One of the organization, or one that registered itself, with what it asked for."""
    caller = context.caller
    dynamic = await apps_repository.dynamic_app(context.services.database.worker, oauth_app_id)
    async with context.services.database.tenant(caller.organization_id) as session:
        app = dynamic or await apps.get(session, caller, oauth_app_id)
        return OAuthApp.of(app, await apps.is_approved(session, caller, app))


async def _current(session: AsyncSession, context: RequestContext, app_id: UUID) -> OAuthApp:
    """As GET shows it, and nobody else changes it meanwhile."""
    return OAuthApp.of(await apps.get(session, context.caller, app_id, lock=True))


@router.patch(
    "/{oauth_app_id}",
    summary="Change an OAuth app",
    **operation("oauth_apps_update", scope=WRITE, sudo=True, errors=(413, 415), if_match=True),
)
async def update_app(context: Context, oauth_app_id: AppIdInPath, body: OAuthAppUpdate) -> OAuthApp:
    """Only what is given is changed. Fewer scopes count at once, for tokens that are out as well. Only those who have
    every scope of the app can change it: whoever sets its redirect URIs gets its codes."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, oauth_app_id))
        changed = OAuthApp.of(await apps.update(session, context.caller, oauth_app_id, body.given()))
    services.doorbell.ring(TOKENS)
    return changed


@router.delete(
    "/{oauth_app_id}",
    summary="Delete an OAuth app",
    status_code=204,
    **operation("oauth_apps_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_app(context: Context, oauth_app_id: AppIdInPath) -> None:
    """Ends every token of it, in every organization that let it in."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, oauth_app_id))
        app = await apps.delete(session, context.caller, oauth_app_id)
    if not context.options.dry_run:
        await apps_repository.revoke_grants_everywhere(services.database.worker, app.id, "app_deleted")
    services.doorbell.ring(TOKENS)


@router.post(
    "/{oauth_app_id}/rotate_secret",
    summary="Rotate an OAuth app's secret",
    response_model=OAuthAppWithSecret,
    **operation("oauth_apps_rotate_secret", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def rotate_secret(request: Request, oauth_app_id: AppIdInPath, body: RotateBody) -> Response:
    """A new secret, shown this once. The one before works for `overlap_seconds` more. 409 for a public app."""
    caller = get_context(request).caller
    overlap = timedelta(seconds=body.overlap_seconds)

    async def work(session: AsyncSession) -> OAuthAppWithSecret:
        return OAuthAppWithSecret.of(*await apps.rotate_secret(session, caller, oauth_app_id, overlap))

    return await answer_once(request, work, redact=("client_secret",))


@router.post(
    "/{oauth_app_id}/approve",
    summary="Approve an app that registered itself",
    response_model=OAuthApp,
    **operation("oauth_apps_approve", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def approve_app(request: Request, oauth_app_id: AppIdInPath) -> Response:
    """For owners who are signed in: the app may ask people here for all in `requested_scopes` too, sending for example.
    It goes back to less when it changes its redirect URIs or asks for more."""
    context = get_context(request)
    found = await _self_registered(context, oauth_app_id)

    async def work(session: AsyncSession) -> OAuthApp:
        return OAuthApp.of(await apps.approve(session, context.caller, found), approved=True)

    return await answer_once(request, work)


@router.post(
    "/{oauth_app_id}/unapprove",
    summary="Withdraw the approval of an app",
    response_model=OAuthApp,
    **operation("oauth_apps_unapprove", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def unapprove_app(request: Request, oauth_app_id: AppIdInPath) -> Response:
    """What it has here shrinks to `scopes` at once, for tokens that are out as well."""
    context = get_context(request)
    found = await _self_registered(context, oauth_app_id)

    async def work(session: AsyncSession) -> OAuthApp:
        return OAuthApp.of(await apps.withdraw_approval(session, context.caller, found), approved=False)

    return await answer_once(request, work, ring=(TOKENS,))


async def _self_registered(context: RequestContext, app_id: UUID) -> models.OAuthApp | None:
    return await apps_repository.dynamic_app(context.services.database.worker, app_id)
