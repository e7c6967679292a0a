"""`/v1/invitations`: ask people to join, and join."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.invitations.schemas import (
    Invitation,
    InvitationAccept,
    InvitationAccepted,
    InvitationCreate,
    InvitationIdInPath,
    InvitationList,
    InvitationListQuery,
)
from penguinmails_core.errors import Forbidden, Unavailable
from penguinmails_core.invitations import accepting, mails, service
from penguinmails_core.invitations.service import Letter
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.principal import PrincipalKind
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/invitations", tags=["invitations"])
READ, WRITE = Scope.MEMBERS_READ, Scope.MEMBERS_WRITE


async def _admit_mail(context: RequestContext, letter: Letter | None) -> None:
    """An invitation that cannot be mailed is none. Raises `Unavailable`, `RateLimited`."""
    notices = context.services.identity.notices
    if context.caller.mode == "live" and not notices.enabled:
        raise Unavailable("This server sends no mail of its own: its operator must set PENGUINMAILS_SYSTEM_MAIL_FROM.")
    if letter is not None:
        await notices.admit(letter.to, context.caller.organization_id)


def _post(context: RequestContext, letters: list[Letter | None]) -> None:
    """After the commit; a replay or a rehearsal has nothing to mail."""
    for letter in letters:
        if letter is not None and not context.options.dry_run:
            link = mails.link(context.services.public.base, letter)
            context.services.identity.notices.post(letter.to, mails.invitation(letter, link), charged=True)


@router.post(
    "",
    summary="Invite somebody",
    status_code=201,
    response_model=Invitation,
    **operation("invitations_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_invitation(request: Request, body: InvitationCreate) -> Response:
    """Mails a link that is good once, for seven days. 409 for a member and for who is invited already. Nobody invites
    to more than they have; only owners invite owners and admins."""
    context = get_context(request)
    letters: list[Letter | None] = []

    async def work(session: AsyncSession) -> Invitation:
        given = body.place() | {"email": body.email, "note": body.note}
        view, letter = await service.create(session, context.caller, given)
        await _admit_mail(context, letter)
        letters.append(letter)
        return Invitation.of(view)

    answer = await answer_once(request, work, status=201, ring=(EVENTS,))
    _post(context, letters)
    return answer


@router.get("", summary="List invitations", **operation("invitations_list", scope=READ, paginated=True))
async def list_invitations(context: Context, query: Annotated[InvitationListQuery, Query()]) -> InvitationList:
    """The newest first, ended ones too until 90 days after."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_invitations(session, caller, status=query.status, **query.place())
    return InvitationList.of(*page, backwards=query.backwards)


@router.post(
    "/accept",
    summary="Accept an invitation",
    response_model=InvitationAccepted,
    **operation("invitations_accept", errors=(413, 415), idempotent=True),
)
async def accept_invitation(request: Request, body: InvitationAccept) -> Response:
    """For the person that it was sent to, signed in; their session stays where it is, and can be switched to the new
    organization. The same person may repeat it and hears the same."""
    context = get_context(request)
    caller = context.caller
    if caller.kind is not PrincipalKind.SESSION:
        raise Forbidden("People accept invitations, signed in; a key or an app cannot.")

    found = await accepting.find(context.services.database, caller.id, body.token)

    async def work(session: AsyncSession) -> InvitationAccepted:
        return InvitationAccepted.of(await accepting.take(session, found, caller.id))

    return await answer_once(request, work, organization_id=found.organization_id, ring=(EVENTS,))


@router.get("/{invitation_id}", summary="Get an invitation", **operation("invitations_get", scope=READ))
async def get_invitation(context: Context, invitation_id: InvitationIdInPath) -> Invitation:
    """One invitation, without its token: that is in the mail only."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Invitation.of(await service.get(session, context.caller, invitation_id))


@router.post(
    "/{invitation_id}/resend",
    summary="Mail an invitation again",
    response_model=Invitation,
    **operation("invitations_resend", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def resend_invitation(request: Request, invitation_id: InvitationIdInPath) -> Response:
    """With a new link, good for seven days from now; the one before is void. An expired one comes back to life."""
    context = get_context(request)
    letters: list[Letter | None] = []

    async def work(session: AsyncSession) -> Invitation:
        view, letter = await service.resend(session, context.caller, invitation_id)
        await _admit_mail(context, letter)
        letters.append(letter)
        return Invitation.of(view)

    answer = await answer_once(request, work)
    _post(context, letters)
    return answer


@router.post(
    "/{invitation_id}/revoke",
    summary="Revoke an invitation",
    response_model=Invitation,
    **operation("invitations_revoke", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def revoke_invitation(request: Request, invitation_id: InvitationIdInPath) -> Response:
    """Its link is void at once. Twice is once; 409 when it was accepted."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Invitation:
        return Invitation.of(await service.revoke(session, caller, invitation_id))

    return await answer_once(request, work, ring=(EVENTS,))
