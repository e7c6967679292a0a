"""Password, one-time codes, recovery codes and passkeys of the person who is signed in. Changes need sudo mode."""

from typing import Any

import segno
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from markupsafe import Markup

from penguinmails_api.identity.links import field_errors
from penguinmails_api.identity.login import MAX_PASSWORD_FIELD
from penguinmails_api.identity.pages import (
    PageRoute,
    Visitor,
    VisitorDep,
    in_sudo,
    keep_session,
    read_form,
    redirect,
    render,
    signed_in,
)
from penguinmails_api.identity.passkey_login import read_call, text_of
from penguinmails_core.errors import NotFound, Problem, Unauthenticated, Unprocessable
from penguinmails_core.identity.sessions import OTP, PASSKEY, PASSWORD, Session
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import IdError, Prefix

router = APIRouter(route_class=PageRoute, include_in_schema=False)
calls = APIRouter(include_in_schema=False)

_HERE = "/account/security"


@router.get(_HERE)
async def show_security(visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    identity = visitor.services.identity
    return render(
        visitor,
        "security.html",
        account=await identity.accounts.get(session.user_id),
        passkeys=await identity.passkeys.list_for(session.user_id),
        codes_left=await identity.factors.recovery_codes_left(session.user_id),
    )


# Password


@router.get("/account/password")
async def show_password(visitor: VisitorDep) -> Response:
    await in_sudo(visitor)
    return _password_page(visitor)


@router.post("/account/password")
async def change_password(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, "/account/password")
    form = await read_form(request, visitor)
    identity = visitor.services.identity
    try:
        password = form.get("password")[:MAX_PASSWORD_FIELD]
        await identity.accounts.change_password(session.user_id, password, keep=session.id)
    except Unprocessable as problem:
        return _password_page(visitor, problem)
    return await _stepped_up(visitor, [PASSWORD], redirect(_HERE, notice="password-changed"))


def _password_page(visitor: Visitor, problem: Problem | None = None) -> Response:
    return render(
        visitor,
        "change_password.html",
        status=problem.status if problem else 200,
        errors=field_errors(problem),
        min_length=visitor.services.identity.passwords.min_length,
    )


async def _stepped_up(visitor: Visitor, amr: list[str], response: Response) -> Response:
    """What a session can do has changed, so its token does. Raises `Unauthenticated` when it ended meanwhile."""
    assert visitor.token is not None
    token = await visitor.services.identity.sessions.step_up(visitor.token, amr)
    if token is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    return keep_session(response, visitor.services, token)


# One-time codes


@router.get("/account/codes")
async def show_codes(visitor: VisitorDep) -> Response:
    return await _codes_page(visitor, await in_sudo(visitor))


async def _codes_page(visitor: Visitor, session: Session, problem: Problem | None = None) -> Response:
    enrolment = await visitor.services.identity.factors.enrol(session.user_id, session.email)
    picture = segno.make(enrolment.uri, error="m").svg_inline(omitsize=True, border=2)
    return render(
        visitor,
        "codes.html",
        status=problem.status if problem else 200,
        secret=enrolment.secret,
        picture=Markup(picture),  # noqa: S704 (shapes made of the URI, whose text is not in them)
        errors=field_errors(problem),
    )


@router.post("/account/codes")
async def confirm_codes(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, "/account/codes")
    form = await read_form(request, visitor)
    identity = visitor.services.identity
    await identity.throttle.attempt("enrol", visitor.browser.address, session.email)
    try:
        codes = await identity.factors.confirm(session.user_id, session.email, form.get("code")[:100])
    except Unprocessable as problem:
        return await _codes_page(visitor, session, problem)
    await identity.throttle.forgive("enrol", visitor.browser.address, session.email)
    page = render(visitor, "recovery_codes.html", codes=codes, fresh=True)
    return await _stepped_up(visitor, [OTP], page)


@router.post("/account/codes/off")
async def disable_codes(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, _HERE)
    await read_form(request, visitor)
    await visitor.services.identity.factors.disable(session.user_id, session.email)
    return redirect(_HERE, notice="codes-off")


@router.post("/account/recovery-codes")
async def renew_recovery_codes(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, _HERE)
    await read_form(request, visitor)
    identity = visitor.services.identity
    account = await identity.accounts.get(session.user_id)
    if not (account.has_codes or account.has_passkey):
        raise NotFound("Recovery codes stand in for a second factor. Set one up first.")
    codes = await identity.factors.new_recovery_codes(session.user_id)
    identity.notices.send(session.email, "new recovery codes were made")
    return render(visitor, "recovery_codes.html", codes=codes, fresh=False)


# Passkeys


@router.get("/account/passkeys")
async def show_passkeys(visitor: VisitorDep) -> Response:
    await in_sudo(visitor)
    return render(visitor, "add_passkey.html")


@calls.post("/account/passkeys/options")
async def ask_passkey(request: Request, visitor: VisitorDep) -> Response:
    session = await _caller(request, visitor)
    account = await visitor.services.identity.accounts.get(session.user_id)
    options = await visitor.services.identity.passkeys.creation_options(
        account.id, account.email, account.name, account.handle, visitor.browser_hash, visitor.services.public
    )
    return JSONResponse(options)


@calls.post("/account/passkeys")
async def add_passkey(request: Request, visitor: VisitorDep) -> Response:
    """The first second factor brings recovery codes, or losing the device would mean losing the account."""
    session = await _caller(request, visitor)
    call: dict[str, Any] = await read_call(request, visitor)
    identity = visitor.services.identity
    await identity.passkeys.register(
        session.user_id, call.get("credential"), text_of(call, "name"), visitor.browser_hash, visitor.services.public
    )
    identity.notices.send(session.email, "a passkey was added")
    needs_codes = await identity.factors.recovery_codes_left(session.user_id) == 0
    location = "/account/recovery-codes/first" if needs_codes else f"{_HERE}?notice=passkey-added"
    return await _stepped_up(visitor, [PASSKEY], JSONResponse({"location": location}))


async def _caller(request: Request, visitor: Visitor) -> Session:
    await read_call(request, visitor)
    if visitor.session is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    await visitor.services.identity.require_sudo(visitor.session)
    return visitor.session


@router.get("/account/recovery-codes/first")
async def offer_recovery_codes(visitor: VisitorDep) -> Response:
    signed_in(visitor)
    return render(visitor, "offer_recovery_codes.html")


@router.post("/account/passkeys/delete")
async def delete_passkey(request: Request, visitor: VisitorDep) -> Response:
    session = await in_sudo(visitor, _HERE)
    form = await read_form(request, visitor)
    try:
        passkey_id = ids.decode(Prefix.PASSKEY, form.get("passkey"))
    except IdError:
        raise NotFound("There is no such passkey.") from None
    if await visitor.services.identity.factors.delete_passkey(session.user_id, session.email, passkey_id) is None:
        raise NotFound("There is no such passkey.")
    return redirect(_HERE, notice="passkey-deleted")
