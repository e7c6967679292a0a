"""`/device`: where a person types the code that a device shows (RFC 8628 §3.3)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.pages import PageRoute, VisitorDep, read_form, render, signed_in
from penguinmails_api.oauth2.consent_page import show_consent
from penguinmails_core.errors import Problem
from penguinmails_core.oauth import consent_repository as repository
from penguinmails_core.oauth import flow_repository
from penguinmails_core.oauth.consent import INTERACTION_LIFETIME
from penguinmails_core.oauth.secrets import Kind, digest, new_secret, parse_user_code, show_user_code

router = APIRouter(route_class=PageRoute, include_in_schema=False)

UNKNOWN = "There is no device waiting with this code. Look at it again, or begin again on the device."


@router.get("/device")
async def show_device(visitor: VisitorDep, user_code: str = "") -> Response:
    """With the code in the URL the person still has to compare it: somebody else may have sent them the link."""
    signed_in(visitor)
    code = parse_user_code(user_code)
    return render(visitor, "device.html", code=show_user_code(code) if code else "", error="")


@router.post("/device")
async def find_device(request: Request, visitor: VisitorDep) -> Response:
    session = signed_in(visitor)
    form = await read_form(request, visitor)
    identity, pool = visitor.services.identity, visitor.services.database.worker
    typed = form.get("user_code")[:50]
    try:
        await identity.throttle.attempt("device", visitor.browser.address, session.email)
    except Problem as problem:
        return render(visitor, "device.html", status=problem.status, code=typed, error=problem.detail)
    code = parse_user_code(typed)
    row = await repository.pending_device(pool, code) if code else None
    app = await flow_repository.app(pool, row["app_id"]) if row is not None else None
    if row is None or app is None:
        return render(visitor, "device.html", status=422, code=typed, error=UNKNOWN)
    await identity.throttle.forgive("device", visitor.browser.address, session.email)
    token = new_secret(Kind.INTERACTION)
    asked: dict[str, Any] = {"device": row["hash"].hex(), "scope": row["scopes"], "resource": row["resources"]}
    async with pool.acquire() as connection:
        await repository.add_interaction(connection, digest(token), app.id, asked, session.id, INTERACTION_LIFETIME)
    return await show_consent(visitor, session, app, row["scopes"], token, device=True)
