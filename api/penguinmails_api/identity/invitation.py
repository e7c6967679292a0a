"""The link in an invitation. A GET shows who invites whom to what; the button accepts. People without an account choose
a password here: that they opened the mail shows that the address is theirs."""

from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.links import field_errors
from penguinmails_api.identity.login import MAX_PASSWORD_FIELD
from penguinmails_api.identity.pages import (
    PageRoute,
    Visitor,
    VisitorDep,
    keep_session,
    read_form,
    redirect,
    render,
    signed_in,
)
from penguinmails_core.errors import Problem, Unprocessable
from penguinmails_core.identity.sessions import PASSWORD
from penguinmails_core.invitations import accepting
from penguinmails_core.kit.doorbell import EVENTS

router = APIRouter(route_class=PageRoute, include_in_schema=False)
WELCOME = "/account/organizations"


@router.get("/invitation")
async def show_invitation(visitor: VisitorDep, token: str = "") -> Response:
    return await _page(visitor, token)


@router.post("/invitation")
async def accept_invitation(request: Request, visitor: VisitorDep) -> Response:
    """For who is signed in: they are a member, and work in the new organization from now on."""
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    joined = await accepting.accept(visitor.services.database, session.user_id, form.get("token"))
    visitor.services.doorbell.ring(EVENTS)
    assert visitor.token is not None
    await visitor.services.identity.sessions.switch(visitor.token, joined.organization_id)
    return redirect(WELCOME, notice="joined")


@router.post("/invitation/join")
async def join(request: Request, visitor: VisitorDep) -> Response:
    """For who has no account: it is made, the invitation accepted, and the person signed in."""
    form = await read_form(request, visitor)
    services, token = visitor.services, form.get("token")
    offer = await accepting.peek(services.database, token)
    try:
        user_id = await services.identity.accounts.create_invited(
            offer.email, form.get("name"), form.get("password")[:MAX_PASSWORD_FIELD]
        )
    except Unprocessable as problem:
        return await _page(visitor, token, name=form.get("name"), problem=problem)
    await accepting.accept(services.database, user_id, token)
    services.doorbell.ring(EVENTS)
    signed = await services.identity.start_session(user_id, [PASSWORD], visitor.browser, visitor.token)
    return keep_session(redirect(WELCOME, notice="joined"), services, signed.token)


async def _page(visitor: Visitor, token: str, *, name: str = "", problem: Problem | None = None) -> Response:
    services = visitor.services
    offer = await accepting.peek(services.database, token)
    session = visitor.session
    return render(
        visitor,
        "invitation.html",
        status=problem.status if problem else 200,
        offer=offer,
        token=token,
        name=name,
        errors=field_errors(problem),
        is_theirs=session is not None and session.email.lower() == offer.email.lower(),
        has_account=await services.identity.accounts.has_account(offer.email),
        sign_in="/login?next=" + quote(f"/invitation?token={quote(token)}", safe="/"),
        min_length=services.identity.passwords.min_length,
    )
