"""`/v1/sso_connections`: an organization's identity providers, its proven mail domains, and SCIM tokens."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.sso_connections.schemas import (
    ConnectionIdInPath,
    ScimTokenCreate,
    ScimTokenList,
    ScimTokenWithSecret,
    SsoConnection,
    SsoConnectionCreate,
    SsoConnectionList,
    SsoConnectionListQuery,
    SsoConnectionUpdate,
    SsoTestResult,
    TokenIdInPath,
)
from penguinmails_core.scim import repository as scim
from penguinmails_core.scopes import Scope
from penguinmails_core.sso import domains
from penguinmails_core.sso.service import SsoConnections, require_live

router = APIRouter(prefix="/v1/sso_connections", tags=["sso_connections"])
READ, WRITE = Scope.ORGANIZATIONS_READ, Scope.ORGANIZATIONS_WRITE


def service_of(context: RequestContext) -> SsoConnections:
    return context.services.sso_connections


@router.post(
    "",
    summary="Create a single sign-on connection",
    status_code=201,
    response_model=SsoConnection,
    **operation("sso_connections_create", scope=WRITE, errors=(413, 415), idempotent=True, sudo=True),
)
async def create_connection(request: Request, body: SsoConnectionCreate) -> Response:
    """Enter what is answered at the identity provider, publish the TXT record of each domain, then `verify`. A member
    whose first sign-in comes from a proven domain joins with `default_role`."""
    context = get_context(request)
    context.services.require_protocol(body.protocol.value)

    async def work(session: AsyncSession) -> SsoConnection:
        made = await service_of(context).create(session, context.caller, body.protocol.value, body.given())
        return SsoConnection.of(made, context.services.public)

    return await answer_once(request, work, status=201)


@router.get(
    "", summary="List single sign-on connections", **operation("sso_connections_list", scope=READ, paginated=True)
)
async def list_connections(context: Context, query: Annotated[SsoConnectionListQuery, Query()]) -> SsoConnectionList:
    """The newest first, disabled ones too."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        page = await service_of(context).list_connections(session, context.caller, **query.place())
    return SsoConnectionList.of(*page, context.services.public, backwards=query.backwards)


@router.get(
    "/{connection_id}", summary="Get a single sign-on connection", **operation("sso_connections_get", scope=READ)
)
async def get_connection(context: Context, connection_id: ConnectionIdInPath) -> SsoConnection:
    """One connection, its domains, and what to enter at the identity provider."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        found = await service_of(context).get(session, context.caller, connection_id)
        return SsoConnection.of(found, context.services.public)


async def _current(session: AsyncSession, context: RequestContext, connection_id: UUID) -> SsoConnection:
    """As GET shows it, and nobody else changes it meanwhile."""
    found = await service_of(context).get(session, context.caller, connection_id, lock=True)
    return SsoConnection.of(found, context.services.public)


@router.patch(
    "/{connection_id}",
    summary="Change a single sign-on connection",
    **operation("sso_connections_update", scope=WRITE, errors=(413, 415), if_match=True, sudo=True),
)
async def update_connection(
    context: Context, connection_id: ConnectionIdInPath, body: SsoConnectionUpdate
) -> SsoConnection:
    """Only what is given is changed. Sessions that were started with it go on until they end."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, connection_id))
        found = await service_of(context).update(session, context.caller, connection_id, body.changes())
        return SsoConnection.of(found, context.services.public)


@router.delete(
    "/{connection_id}",
    summary="Delete a single sign-on connection",
    status_code=204,
    **operation("sso_connections_delete", scope=WRITE, if_match=True, sudo=True),
)
async def delete_connection(context: Context, connection_id: ConnectionIdInPath) -> None:
    """With its domains, SCIM tokens and groups. People stay members, and sign in in another way."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, connection_id))
        await service_of(context).delete(session, context.caller, connection_id)


@router.post(
    "/{connection_id}/verify",
    summary="Verify the domains of a connection",
    response_model=SsoConnection,
    **operation("sso_connections_verify", scope=WRITE, errors=(413, 415), idempotent=True, sudo=True),
)
async def verify_domains(request: Request, connection_id: ConnectionIdInPath) -> Response:
    """Looks for the TXT record of each domain now. A domain whose record is gone loses its proof; when DNS gives no
    answer, it stays as it is. 409 while another connection has proven one of them."""
    context = get_context(request)
    caller = context.caller
    require_live(caller)
    async with context.services.database.tenant(caller.organization_id) as session:
        found = await service_of(context).get(session, caller, connection_id)
    # No transaction is open while DNS is asked.
    proven = await domains.look(context.services.resolver, found.domains)

    async def work(session: AsyncSession) -> SsoConnection:
        after = await service_of(context).record_proofs(session, caller, connection_id, proven)
        return SsoConnection.of(after, context.services.public)

    return await answer_once(request, work)


@router.post(
    "/{connection_id}/test",
    summary="Test a single sign-on connection",
    response_model=SsoTestResult,
    **operation("sso_connections_test", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def test_connection(request: Request, connection_id: ConnectionIdInPath) -> Response:
    """Reads what an OIDC provider says of itself, or looks at the certificates of a SAML one. Nobody is signed in and
    nothing is changed."""
    context = get_context(request)
    async with context.services.database.tenant(context.caller.organization_id) as session:
        found = await service_of(context).get(session, context.caller, connection_id)
        outside = await scim.not_members(session, found.row.organization_id, connection_id)
    result = SsoTestResult.of(await context.services.examine_connection(found.row, outside))

    async def work(session: AsyncSession) -> SsoTestResult:
        return result

    return await answer_once(request, work)


@router.post(
    "/{connection_id}/scim_tokens",
    summary="Create a SCIM token",
    status_code=201,
    response_model=ScimTokenWithSecret,
    **operation("sso_connections_create_scim_token", scope=WRITE, errors=(413, 415), idempotent=True, sudo=True),
)
async def create_scim_token(request: Request, connection_id: ConnectionIdInPath, body: ScimTokenCreate) -> Response:
    """For the identity provider's SCIM client: it then makes, changes and deactivates members. Shown this once."""
    context = get_context(request)

    async def work(session: AsyncSession) -> ScimTokenWithSecret:
        made = await service_of(context).create_token(
            session, context.caller, connection_id, body.name, body.expires_at
        )
        return ScimTokenWithSecret.of(*made)

    return await answer_once(request, work, status=201, redact=("token",))


@router.get(
    "/{connection_id}/scim_tokens",
    summary="List SCIM tokens",
    **operation("sso_connections_scim_tokens", scope=READ),
)
async def list_scim_tokens(context: Context, connection_id: ConnectionIdInPath) -> ScimTokenList:
    """All of the connection, revoked ones too."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return ScimTokenList.of(await service_of(context).list_tokens(session, context.caller, connection_id))


@router.delete(
    "/{connection_id}/scim_tokens/{token_id}",
    summary="Revoke a SCIM token",
    status_code=204,
    **operation("sso_connections_revoke_scim_token", scope=WRITE, sudo=True),
)
async def revoke_scim_token(context: Context, connection_id: ConnectionIdInPath, token_id: TokenIdInPath) -> None:
    """From now on it is refused. What was provisioned with it stays."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await service_of(context).revoke_token(session, context.caller, connection_id, token_id)
