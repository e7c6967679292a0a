"""`/v1/organization`: the caller's own, its settings and its owner; `/v1/organizations`: all that a person is in."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.members.ids import decode_in_body
from penguinmails_api.v1.members.schemas import Member
from penguinmails_api.v1.organizations.schemas import (
    Organization,
    OrganizationCreate,
    OrganizationLeft,
    OrganizationMemberships,
    OrganizationTransfer,
    OrganizationUpdate,
)
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS, KEYS, TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members import manage
from penguinmails_core.members.authority import hold
from penguinmails_core.members.service import memberships_of
from penguinmails_core.organizations import own, settings
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1", tags=["organizations"])
READ, WRITE = Scope.ORGANIZATIONS_READ, Scope.ORGANIZATIONS_WRITE


@router.get("/organization", summary="Get the organization", **operation("organizations_get", scope=READ, etag=True))
async def get_organization(context: Context) -> Organization:
    """The organization of the credential, with its settings."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Organization.of(await settings.get(session, context.caller))


async def _current(session: AsyncSession, caller: Principal) -> Organization:
    """As GET shows it, and nobody else changes it meanwhile."""
    await hold(session, caller)
    return Organization.of(await settings.get(session, caller))


@router.patch(
    "/organization",
    summary="Change the organization",
    **operation("organizations_update", scope=WRITE, errors=(413, 415), if_match=True, etag=True),
)
async def update_organization(context: Context, body: OrganizationUpdate) -> Organization:
    """Its name, and how dashboards show times, dates and money."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context.caller))
        changed = Organization.of(await settings.update(session, context.caller, body.given()))
    context.services.doorbell.ring(EVENTS)
    return changed


@router.get("/organizations", summary="List the caller's organizations", **operation("organizations_list", scope=READ))
async def list_organizations(context: Context) -> OrganizationMemberships:
    """Of a person who is signed in: all that they belong to. Keys and apps see the one that they are of."""
    caller = context.caller
    if caller.kind is PrincipalKind.SESSION:
        found = await memberships_of(context.services.database.worker, caller.id)
        return OrganizationMemberships.of_person(found, caller.organization_id)
    async with context.services.database.tenant(caller.organization_id) as session:
        return OrganizationMemberships.of_key(await settings.get(session, caller))


@router.post(
    "/organizations",
    summary="Create an organization",
    status_code=201,
    response_model=Organization,
    **operation("organizations_create", errors=(413, 415), idempotent=True),
)
async def create_organization(request: Request, body: OrganizationCreate) -> Response:
    """For a person who is signed in, or an app with `organizations:write` that acts for one: they own it, with a
    default workspace. The session, or token, stays where it is. 403 `limit_reached` for who owns as many as this server
    allows, 403 for keys."""
    context = get_context(request)
    services, caller = context.services, context.caller

    async def work(session: AsyncSession) -> Organization:
        most = services.organizations_per_person
        return Organization.of(await own.create(session, services.database.worker, caller, body.name, most=most))

    return await answer_once(request, work, status=201)


@router.post(
    "/organization/transfer",
    summary="Hand over the organization",
    response_model=Member,
    **operation("organizations_transfer", scope=WRITE, sudo=True, errors=(413, 415), idempotent=True),
)
async def transfer_organization(request: Request, body: OrganizationTransfer) -> Response:
    """The member becomes an owner and the caller, who must be one and signed in, an admin. Answers the new owner."""
    caller = get_context(request).caller
    member_id = decode_in_body(Prefix.MEMBER, body.member_id, "/member_id")

    async def work(session: AsyncSession) -> Member:
        return Member.of(await manage.transfer(session, caller, member_id, body.confirm))

    return await answer_once(request, work, ring=(TOKENS, EVENTS))


@router.post(
    "/organization/leave",
    summary="Leave the organization",
    response_model=OrganizationLeft,
    **operation("organizations_leave", sudo=True, errors=(413, 415), idempotent=True),
)
async def leave_organization(request: Request) -> Response:
    """Ends the membership of the person who is signed in, their keys and what they granted to apps; what they made
    goes to the oldest owner. 409 `last_owner` for the only owner."""
    context = get_context(request)
    caller = context.caller

    async def work(session: AsyncSession) -> OrganizationLeft:
        await manage.leave(session, caller)
        return OrganizationLeft(organization_id=ids.encode(Prefix.ORGANIZATION, caller.organization_id))

    answer = await answer_once(request, work, ring=(KEYS, TOKENS, EVENTS))
    if not context.options.dry_run:
        await context.services.identity.sessions.leave_organization(caller.id, caller.organization_id)
    return answer
