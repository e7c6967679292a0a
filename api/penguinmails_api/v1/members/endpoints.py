"""`/v1/members`: who belongs to the organization, and as what."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.members.schemas import Member, MemberIdInPath, MemberList, MemberListQuery, MemberUpdate
from penguinmails_core.kit.doorbell import EVENTS, KEYS, TOKENS
from penguinmails_core.members import manage
from penguinmails_core.members.authority import hold
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/members", tags=["members"])
READ, WRITE = Scope.MEMBERS_READ, Scope.MEMBERS_WRITE


@router.get("", summary="List members", **operation("members_list", scope=READ, paginated=True))
async def list_members(context: Context, query: Annotated[MemberListQuery, Query()]) -> MemberList:
    """The newest first. Who is bound to a workspace sees the members that are limited to it."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await manage.list_members(session, caller, roles=query.role, email=query.email, **query.place())
    return MemberList.of(*page, backwards=query.backwards)


@router.get("/{member_id}", summary="Get a member", **operation("members_get", scope=READ))
async def get_member(context: Context, member_id: MemberIdInPath) -> Member:
    """One member, with the role and the workspaces that it is limited to."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Member.of(await manage.get(session, context.caller, member_id))


async def _current(session: AsyncSession, caller: Principal, member_id: UUID) -> Member:
    """As GET shows it, and nobody else changes it meanwhile."""
    await hold(session, caller)
    return Member.of(await manage.get(session, caller, member_id))


@router.patch(
    "/{member_id}",
    summary="Change a member's role",
    **operation("members_update", scope=WRITE, sudo=True, errors=(413, 415), if_match=True),
)
async def update_member(context: Context, member_id: MemberIdInPath, body: MemberUpdate) -> Member:
    """Role and workspaces; felt at once, by the keys that the person made too: they lose what the new role does not
    give, and end when nothing is left. Nobody gives more than they have (403 `grant_exceeded`), only owners make and
    change owners and admins (403 `owners_only`), and the last owner stays one (409 `last_owner`)."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, member_id))
        changed = Member.of(await manage.update(session, context.caller, member_id, body.place()))
    services.doorbell.ring(KEYS, TOKENS, EVENTS)
    return changed


@router.delete(
    "/{member_id}",
    summary="Remove a member",
    status_code=204,
    **operation("members_remove", scope=WRITE, sudo=True, if_match=True),
)
async def remove_member(context: Context, member_id: MemberIdInPath) -> None:
    """Ends the membership with the keys that the person made and the grants that they gave, at once; what they made is
    the caller's from now on. Nobody removes themselves: leave instead."""
    services = context.services
    async with services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller, member_id))
        removed = await manage.remove(session, context.caller, member_id)
    services.doorbell.ring(KEYS, TOKENS, EVENTS)
    if not context.options.dry_run:
        await services.identity.sessions.leave_organization(removed, context.caller.organization_id)
