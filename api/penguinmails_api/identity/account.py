"""The account: name and address, browsers that are signed in, and which organization one works in."""

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.pages import (
    PageRoute,
    Visitor,
    VisitorDep,
    in_sudo,
    read_form,
    redirect,
    render,
    signed_in,
)
from penguinmails_core.errors import NotFound, Problem, RateLimited, Unprocessable
from penguinmails_core.identity.links import Purpose
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import IdError, Prefix

# In this order: most browsers also name those they resemble.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/account")
async def show_account(visitor: VisitorDep) -> Response:
    return await _account_page(visitor, signed_in(visitor))


async def _account_page(
    visitor: Visitor, session: Session, problem: Problem | None = None, field: str = ""
) -> Response:
    errors = {"name": "", "email": ""}
    if problem is not None:
        errors[field] = problem.detail
    account = await visitor.services.identity.accounts.get(session.user_id)
    return render(
        visitor,
        "account.html",
        status=problem.status if problem else 200,
        account=account,
        errors=errors,
        mail=visitor.services.mail.enabled,
    )


@router.post("/account/name")
async def change_name(request: Request, visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    try:
        await visitor.services.identity.accounts.set_name(session.user_id, form.get("name"))
    except Unprocessable as problem:
        return await _account_page(visitor, session, problem, "name")
    return redirect("/account", notice="saved")


@router.post("/account/email")
async def ask_email_change(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, "/account")
    form = await read_form(request, visitor)
    accounts = visitor.services.identity.accounts
    try:
        await accounts.request_email_change(
            session.user_id, form.get("email"), visitor.browser.address, visitor.services.public
        )
    except (Unprocessable, RateLimited) as problem:
        return await _account_page(visitor, session, problem, "email")
    return redirect("/account", notice="email-sent")


@router.get("/account/email")
async def show_email_change(visitor: VisitorDep, token: str = "") -> Response:
    """A link in a mail: looking changes nothing, the button does."""
    signed_in(visitor)
    link = await visitor.services.identity.accounts.peek(Purpose.EMAIL, token)
    return render(visitor, "confirm_email.html", email=link.email, token=token)


@router.post("/account/email/confirm")
async def change_email(request: Request, visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    await visitor.services.identity.accounts.change_email(form.get("token"), session.user_id)
    return redirect("/account", notice="email-changed")


@router.get("/account/sessions")
async def show_sessions(visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    sessions = await visitor.services.identity.sessions.list_for(session.user_id)
    return render(visitor, "sessions.html", sessions=sessions, device=device_name)


@router.post("/account/sessions/end")
async def end_session(request: Request, visitor: VisitorDep) -> Response:
    """One browser, or with `all` every other one. No sudo: signing out must be possible in a hurry."""
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    sessions = visitor.services.identity.sessions
    if form.get("all"):
        await sessions.end_all(session.user_id, keep=session.id)
        return redirect("/account/sessions", notice="sessions-ended")
    try:
        session_id = ids.decode(Prefix.SESSION, form.get("session"))
    except IdError:
        raise NotFound("There is no such session.") from None
    if not await sessions.end_one(session.user_id, session_id):
        raise NotFound("There is no such session.")
    return redirect("/account/sessions", notice="session-ended")


def device_name(user_agent: str) -> str:
    """``Firefox on Linux``: enough to recognise one's own browsers."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser
