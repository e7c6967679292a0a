"""`/v1/roles`: the built-in roles, and custom ones of the organization."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.roles.schemas import Role, RoleCreate, RoleIdInPath, Roles, RoleUpdate
from penguinmails_core.custom_roles import service
from penguinmails_core.kit.doorbell import KEYS, TOKENS
from penguinmails_core.members.authority import hold
from penguinmails_core.principal import Principal
from penguinmails_core.roles import OrganizationRole
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/roles", tags=["roles"])
READ, WRITE = Scope.MEMBERS_READ, Scope.MEMBERS_WRITE


@router.get("", summary="List roles", **operation("roles_list", scope=READ))
async def list_roles(context: Context) -> Roles:
    """What each may do. The built-in ones first, from most to least."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        custom = await service.list_roles(session, context.caller)
    return Roles(data=[*(Role.built_in(role) for role in OrganizationRole), *(Role.of(row) for row in custom)])


@router.post(
    "",
    summary="Create a custom role",
    status_code=201,
    response_model=Role,
    **operation("roles_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_role(request: Request, body: RoleCreate) -> Response:
    """A named set of scopes that members can be given instead of a built-in role. 403 `grant_exceeded` for scopes that
    the caller does not have."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Role:
        made = await service.create(session, caller, name=body.name, scopes=body.scopes, description=body.description)
        return Role.of(made)

    return await answer_once(request, work, status=201)


@router.get("/{role_id}", summary="Get a custom role", **operation("roles_get", scope=READ))
async def get_role(context: Context, role_id: RoleIdInPath) -> Role:
    """One custom role; the built-in ones are in the list."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Role.of(await service.get(session, context.caller, role_id))


async def _current(session: AsyncSession, caller: Principal, role_id: UUID) -> Role:
    """As GET shows it, and nobody else changes it meanwhile."""
    await hold(session, caller)
    return Role.of(await service.get(session, caller, role_id))


@router.patch(
    "/{role_id}",
    summary="Change a custom role",
    **operation("roles_update", scope=WRITE, sudo=True, errors=(413, 415), if_match=True),
)
async def update_role(context: Context, role_id: RoleIdInPath, body: RoleUpdate) -> Role:
    """Members who have it feel it at once, and so do the keys that they made. It can
    only be given scopes that the caller has."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, role_id))
        changed = Role.of(await service.update(session, context.caller, role_id, body.given()))
    services.doorbell.ring(KEYS, TOKENS)  # of the people who have the role
    return changed


@router.delete(
    "/{role_id}",
    summary="Delete a custom role",
    status_code=204,
    **operation("roles_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_role(context: Context, role_id: RoleIdInPath) -> None:
    """409 while members have it or are invited to it."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, role_id))
        await service.delete(session, context.caller, role_id)
