"""Sign in, the second factor, confirming who one is, sign out."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from penguinmails_api.identity.pages import (
    Form,
    PageRoute,
    Redirect,
    Visitor,
    VisitorDep,
    keep_session,
    read_form,
    redirect,
    render,
    safe_next,
    signed_in,
)
from penguinmails_core.errors import Problem, RateLimited, SsoRequired, Unauthenticated
from penguinmails_core.identity.sessions import SSO

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Next = Annotated[str, Query(alias="next")]
MAX_PASSWORD_FIELD = 1024  # longer than any password: nothing worth hashing


@router.get("/login")
async def show_login(visitor: VisitorDep, go_on: Next = "", again: str = "") -> Response:
    """`again`: leave a sign-in that waits for its second factor."""
    if visitor.session is not None:
        return redirect(safe_next(go_on))
    if visitor.pending is not None and not again:
        return redirect("/login/second-factor" + (f"?next={quote(safe_next(go_on))}" if go_on else ""))
    return _login_page(visitor, go_on=safe_next(go_on))


@router.post("/login")
async def sign_in(request: Request, visitor: VisitorDep) -> Response:
    form = await read_form(request, visitor)
    identity = visitor.services.identity
    go_on = safe_next(form.get("next"))
    try:
        password = form.get("password")[:MAX_PASSWORD_FIELD]
        signed = await identity.sign_in(form.get("email").strip(), password, visitor.browser, visitor.token)
    except (Unauthenticated, RateLimited, SsoRequired) as problem:
        return _login_page(visitor, go_on=go_on, problem=problem, email=form.get("email"))
    if signed.pending:
        go_on = f"/login/second-factor?next={quote(go_on)}"
    return keep_session(redirect(go_on), visitor.services, signed.token)


def _login_page(visitor: Visitor, *, go_on: str, problem: Problem | None = None, email: str = "") -> Response:
    page = render(
        visitor,
        "login.html",
        status=problem.status if problem else 200,
        error=problem.detail if problem else "",
        email=email,
        next=go_on,
        signup=signup_open(visitor),
    )
    if problem is not None and "Retry-After" in problem.headers:
        page.headers["Retry-After"] = problem.headers["Retry-After"]
    return page


def signup_open(visitor: Visitor) -> bool:
    """Without mail of the server's own nobody could confirm an address."""
    return visitor.services.signup and visitor.services.mail.enabled


@router.get("/login/second-factor")
async def show_second_factor(visitor: VisitorDep, go_on: Next = "") -> Response:
    if visitor.session is not None:
        return redirect(safe_next(go_on))
    return await _factor_page(visitor, safe_next(go_on))


@router.post("/login/second-factor")
async def answer_second_factor(request: Request, visitor: VisitorDep) -> Response:
    form = await read_form(request, visitor)
    if visitor.pending is None:
        raise Redirect("/login")
    return await _answer(visitor, form)


@router.get("/login/confirm")
async def show_confirm(visitor: VisitorDep, go_on: Next = "") -> Response:
    """Sudo mode: the same questions in a session that is signed in."""
    signed_in(visitor)
    return await _factor_page(visitor, safe_next(go_on))


@router.post("/login/confirm")
async def confirm(request: Request, visitor: VisitorDep) -> Response:
    form = await read_form(request, visitor)
    signed_in(visitor)
    return await _answer(visitor, form)


async def _answer(visitor: Visitor, form: Form) -> Response:
    identity, session, token = visitor.services.identity, visitor.session or visitor.pending, visitor.token
    assert session is not None
    assert token is not None
    go_on = safe_next(form.get("next"))
    try:
        if form.get("password"):
            password = form.get("password")[:MAX_PASSWORD_FIELD]
            signed = await identity.confirm_password(token, session, password, visitor.browser)
        else:
            signed = await identity.answer_code(token, session, form.get("code")[:100], visitor.browser)
    except (Unauthenticated, RateLimited) as problem:
        if await identity.sessions.find(token) is None:
            return keep_session(_login_page(visitor, go_on=go_on, problem=problem), visitor.services, None)
        return await _factor_page(visitor, go_on, problem)
    return keep_session(redirect(go_on), visitor.services, signed.token)


async def _factor_page(visitor: Visitor, go_on: str, problem: Problem | None = None) -> Response:
    session = visitor.session or visitor.pending
    if session is None:
        raise Redirect("/login")
    account = await visitor.services.identity.accounts.get(session.user_id)
    confirming = visitor.session is not None
    return render(
        visitor,
        "second_factor.html",
        status=problem.status if problem else 200,
        heading="Confirm it is you" if confirming else "Second factor",
        why="What comes next is protected, so prove once more who you are."
        if confirming
        else f"One more proof is needed, {session.email}.",
        action="/login/confirm" if confirming else "/login/second-factor",
        error=problem.detail if problem else "",
        account=account,
        sso=confirming and not account.has_passkey and not account.has_codes and SSO in session.amr,
        next=go_on,
    )


@router.post("/logout")
async def sign_out(request: Request, visitor: VisitorDep) -> Response:
    await read_form(request, visitor)
    if visitor.token is not None:
        await visitor.services.identity.sessions.end(visitor.token)
    return keep_session(redirect("/login", notice="signed-out"), visitor.services, None)
