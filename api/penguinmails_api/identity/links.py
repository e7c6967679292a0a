"""Signing up and choosing a password, by links in mail. A GET shows a form, only its POST acts: scanners open links."""

from collections import defaultdict

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.login import MAX_PASSWORD_FIELD, signup_open
from penguinmails_api.identity.pages import (
    PageRoute,
    Visitor,
    VisitorDep,
    keep_session,
    read_form,
    redirect,
    render,
)
from penguinmails_core.errors import NotFound, Problem, RateLimited, Unprocessable
from penguinmails_core.identity.links import Purpose
from penguinmails_core.identity.sessions import PASSWORD

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/signup")
async def show_signup(visitor: VisitorDep) -> Response:
    return _signup_page(visitor, {})


@router.post("/signup")
async def sign_up(request: Request, visitor: VisitorDep) -> Response:
    """The same answer whether the address has an account or not."""
    _check_signup_open(visitor)
    form = await read_form(request, visitor)
    values = {name: form.get(name) for name in ("email", "name", "organization")}
    try:
        await visitor.services.identity.accounts.request_signup(
            values["email"],
            values["name"],
            values["organization"],
            visitor.browser.address,
            visitor.services.public,
        )
    except (Unprocessable, RateLimited) as problem:
        return _signup_page(visitor, values, problem)
    return _look_into_mail(visitor, "We sent a link to finish signing up. It works for 24 hours.")


def _check_signup_open(visitor: Visitor) -> None:
    if not signup_open(visitor):
        raise NotFound("Nobody can sign up here. Ask somebody who runs this server, or a member, to add you.")


def _signup_page(visitor: Visitor, values: dict[str, str], problem: Problem | None = None) -> Response:
    _check_signup_open(visitor)
    return render(
        visitor,
        "signup.html",
        status=problem.status if problem else 200,
        values={"email": "", "name": "", "organization": ""} | values,
        errors=field_errors(problem),
    )


def field_errors(problem: Problem | None) -> dict[str, str]:
    """What is wrong, by field; `form` for what is of no field. Fields without a fault are empty."""
    found: dict[str, str] = defaultdict(str)
    if problem is not None:
        found |= {error.pointer.removeprefix("/"): error.detail for error in problem.errors}
        if not problem.errors:
            found["form"] = problem.detail
    return found


def _look_into_mail(visitor: Visitor, text: str) -> Response:
    return render(visitor, "look_into_mail.html", text=text)


@router.get("/verify-email")
async def show_verify(visitor: VisitorDep, token: str = "") -> Response:
    link = await visitor.services.identity.accounts.peek(Purpose.SIGNUP, token)
    return _password_page(visitor, "/verify-email", token, link.email)


@router.post("/verify-email")
async def verify(request: Request, visitor: VisitorDep) -> Response:
    """The end of signing up: the account is made, and the person is signed in."""
    form = await read_form(request, visitor)
    identity, token = visitor.services.identity, form.get("token")
    try:
        user_id = await identity.accounts.complete_signup(token, form.get("password")[:MAX_PASSWORD_FIELD])
    except Unprocessable as problem:
        link = await identity.accounts.peek(Purpose.SIGNUP, token)
        return _password_page(visitor, "/verify-email", token, link.email, problem)
    signed = await identity.start_session(user_id, [PASSWORD], visitor.browser, visitor.token)
    return keep_session(redirect("/account"), visitor.services, signed.token)


@router.get("/reset-password")
async def show_reset(visitor: VisitorDep) -> Response:
    return render(visitor, "forgot.html", mail=visitor.services.mail.enabled, errors=field_errors(None), email="")


@router.post("/reset-password")
async def ask_reset(request: Request, visitor: VisitorDep) -> Response:
    """The same answer whether somebody has this address or not."""
    form = await read_form(request, visitor)
    try:
        await visitor.services.identity.accounts.request_reset(
            form.get("email").strip(), visitor.browser.address, visitor.services.public
        )
    except RateLimited as problem:
        errors = field_errors(problem)
        return render(visitor, "forgot.html", status=429, mail=True, errors=errors, email=form.get("email"))
    return _look_into_mail(visitor, "If somebody has an account with this address, a link is on its way to them.")


@router.get("/reset-password/choose")
async def show_choose(visitor: VisitorDep, token: str = "") -> Response:
    link = await visitor.services.identity.accounts.peek(Purpose.RESET, token)
    return _password_page(visitor, "/reset-password/choose", token, link.email)


@router.post("/reset-password/choose")
async def choose(request: Request, visitor: VisitorDep) -> Response:
    """Ends every session. Whoever owns a second factor still needs it to sign in."""
    form = await read_form(request, visitor)
    accounts, token = visitor.services.identity.accounts, form.get("token")
    try:
        await accounts.reset_password(token, form.get("password")[:MAX_PASSWORD_FIELD])
    except Unprocessable as problem:
        link = await accounts.peek(Purpose.RESET, token)
        return _password_page(visitor, "/reset-password/choose", token, link.email, problem)
    return keep_session(redirect("/login", notice="password-reset"), visitor.services, None)


def _password_page(visitor: Visitor, action: str, token: str, email: str, problem: Problem | None = None) -> Response:
    return render(
        visitor,
        "choose_password.html",
        status=problem.status if problem else 200,
        action=action,
        token=token,
        email=email,
        errors=field_errors(problem),
        min_length=visitor.services.identity.passwords.min_length,
    )
