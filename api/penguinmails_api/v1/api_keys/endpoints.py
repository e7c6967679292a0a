"""`/v1/api_keys`: credentials of the organization. Nobody hands out more than they have."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.api_keys.schemas import (
    ApiKey,
    ApiKeyCreate,
    ApiKeyDerive,
    ApiKeyIdInPath,
    ApiKeyList,
    ApiKeyListQuery,
    ApiKeyPreset,
    ApiKeyPresets,
    ApiKeyRotate,
    ApiKeyUpdate,
    ApiKeyWithSecret,
)
from penguinmails_api.v1.usage.schemas import ApiKeyUsage, PeriodQuery
from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.presets import PRESETS
from penguinmails_core.kit.doorbell import EVENTS, KEYS
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.usage import service as usage

router = APIRouter(prefix="/v1/api_keys", tags=["api_keys"])
RotateBody = Annotated[ApiKeyRotate, Body(default_factory=ApiKeyRotate)]  # it may be left out
READ, WRITE = Scope.API_KEYS_READ, Scope.API_KEYS_WRITE


@router.post(
    "",
    summary="Create an API key",
    status_code=201,
    response_model=ApiKeyWithSecret,
    **operation("api_keys_create", scope=WRITE, sudo=True, apps=False, errors=(413, 415), idempotent=True),
)
async def create_key(request: Request, body: ApiKeyCreate) -> Response:
    """The secret is shown this once. A key can do at most what its maker can: 403 `grant_exceeded` lists what goes
    beyond. OAuth apps make no keys, since those would outlive the grant."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> ApiKeyWithSecret:
        return ApiKeyWithSecret.of(*await service.create(session, caller, body.given()))

    return await answer_once(request, work, status=201, redact=("secret",), ring=(EVENTS,))


@router.get("", summary="List API keys", **operation("api_keys_list", scope=READ, paginated=True))
async def list_keys(context: Context, query: Annotated[ApiKeyListQuery, Query()]) -> ApiKeyList:
    """The newest first, ended ones too until 90 days after. A key sees keys of its own mode, and of its workspace when
    it is bound to one."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_keys(session, caller.inside(query.workspace_id), **query.place())
    return ApiKeyList.of(*page, backwards=query.before is not None)


@router.get("/presets", summary="List presets of scopes", **operation("api_keys_presets", scope=READ))
async def list_presets(context: Context) -> ApiKeyPresets:
    """Named bundles, for those who do not want to pick scopes one by one."""
    return ApiKeyPresets(data=[ApiKeyPreset.of(preset, context.caller.scopes) for preset in PRESETS])


@router.get("/{api_key_id}", summary="Get an API key", **operation("api_keys_get", scope=READ))
async def get_key(context: Context, api_key_id: ApiKeyIdInPath) -> ApiKey:
    """One key, with its limits and last use, never its secret."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return ApiKey.of(await service.get(session, context.caller, api_key_id))


@router.get("/{api_key_id}/usage", summary="Get an API key's usage", **operation("api_keys_usage", scope=READ, cost=5))
async def get_key_usage(
    context: Context, api_key_id: ApiKeyIdInPath, query: Annotated[PeriodQuery, Query()]
) -> ApiKeyUsage:
    """Requests and sends of the period, by day and by operation, of an ended key too. Days are UTC; requests of the
    last few seconds may be missing for a moment."""
    days = query.days()
    async with context.services.database.tenant(context.caller.organization_id) as session:
        key = await service.get(session, context.caller, api_key_id)
        return ApiKeyUsage.of(key, days, await usage.usage_of_key(session, key, days))


async def _current(session: AsyncSession, caller: Principal, api_key_id: UUID) -> ApiKey:
    """As GET shows it, and nobody else changes it meanwhile."""
    return ApiKey.of(await service.get(session, caller, api_key_id, lock=True))


@router.patch(
    "/{api_key_id}",
    summary="Change an API key",
    **operation("api_keys_update", scope=WRITE, sudo=True, errors=(413, 415), if_match=True),
)
async def update_key(context: Context, api_key_id: ApiKeyIdInPath, body: ApiKeyUpdate) -> ApiKey:
    """Narrowing and renaming are always possible; widening only when the whole key then lies within what the caller
    has, so no key widens itself. It is felt at once. A derived key never gets beyond its parent, and ends with it."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, api_key_id))
        changed = ApiKey.of(await service.update(session, context.caller, api_key_id, body.given()))
    services.doorbell.ring(KEYS)
    return changed


@router.delete(
    "/{api_key_id}",
    summary="Revoke an API key",
    status_code=204,
    **operation("api_keys_revoke", scope=WRITE, sudo=True, if_match=True),
)
async def revoke_key(context: Context, api_key_id: ApiKeyIdInPath) -> None:
    """Ends it, and every key derived from it, at once and for good."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, api_key_id))
        await service.revoke(session, context.caller, api_key_id)
    services.doorbell.ring(KEYS, EVENTS)


@router.post(
    "/{api_key_id}/rotate",
    summary="Rotate an API key's secret",
    response_model=ApiKeyWithSecret,
    **operation("api_keys_rotate", scope=WRITE, sudo=True, apps=False, errors=(413, 415), idempotent=True),
)
async def rotate_key(request: Request, api_key_id: ApiKeyIdInPath, body: RotateBody) -> Response:
    """A new secret, shown this once. The one before works for `overlap_seconds` more, though not to make, change or
    rotate keys. A key can rotate itself, and others only when it could have made them."""
    caller = get_context(request).caller
    overlap = timedelta(seconds=body.overlap_seconds)

    async def work(session: AsyncSession) -> ApiKeyWithSecret:
        return ApiKeyWithSecret.of(*await service.rotate(session, caller, api_key_id, overlap))

    return await answer_once(request, work, redact=("secret",), ring=(KEYS, EVENTS))


@router.post(
    "/{api_key_id}/derive",
    summary="Derive a narrower API key",
    status_code=201,
    response_model=ApiKeyWithSecret,
    **operation("api_keys_derive", scope=WRITE, sudo=True, apps=False, errors=(413, 415), idempotent=True),
)
async def derive_key(request: Request, api_key_id: ApiKeyIdInPath, body: ApiKeyDerive) -> Response:
    """A child that does less and lives shorter: for an agent, a job, a browser. It never may do more than its parent,
    counts for its parent's daily cap, and ends with it."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> ApiKeyWithSecret:
        return ApiKeyWithSecret.of(*await service.derive(session, caller, api_key_id, body.given()))

    return await answer_once(request, work, status=201, redact=("secret",), ring=(EVENTS,))
