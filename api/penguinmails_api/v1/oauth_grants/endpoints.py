"""`/v1/oauth_grants`: what people and the organization let apps do, and taking it back."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.oauth_grants.schemas import GrantIdInPath, OAuthGrant, OAuthGrantList, OAuthGrantListQuery
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.oauth import grants
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/oauth_grants", tags=["oauth_grants"])
READ, WRITE = Scope.OAUTH_APPS_READ, Scope.OAUTH_APPS_WRITE


@router.get("", summary="List grants", **operation("oauth_grants_list", scope=READ, paginated=True))
async def list_grants(context: Context, query: Annotated[OAuthGrantListQuery, Query()]) -> OAuthGrantList:
    """The newest first, revoked ones too until 90 days after. A key sees grants of its own mode, and of its workspace
    when it is bound to one."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await grants.list_grants(session, caller, **query.filters(), **query.place())
    return OAuthGrantList.of(*page, backwards=query.backwards)


@router.get("/{oauth_grant_id}", summary="Get a grant", **operation("oauth_grants_get", scope=READ))
async def get_grant(context: Context, oauth_grant_id: GrantIdInPath) -> OAuthGrant:
    """One grant, with the reason when it was revoked."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return OAuthGrant.of(await grants.get(session, context.caller, oauth_grant_id))


async def _current(session: AsyncSession, context: RequestContext, grant_id: UUID) -> OAuthGrant:
    """As GET shows it, and nobody else changes it meanwhile."""
    return OAuthGrant.of(await grants.get(session, context.caller, grant_id, lock=True))


@router.delete(
    "/{oauth_grant_id}",
    summary="Revoke a grant",
    status_code=204,
    **operation("oauth_grants_revoke", scope=WRITE, sudo=True, if_match=True),
)
async def revoke_grant(context: Context, oauth_grant_id: GrantIdInPath) -> None:
    """Every token of it ends. An app that acts by its own credentials can get new ones: delete it, or rotate its
    secret, to stop that."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, oauth_grant_id))
        await grants.revoke(session, context.caller, oauth_grant_id)
    services.doorbell.ring(TOKENS)
