"""What a person sees of the authorization endpoint: sign in first, then one page that asks, then back to the app.

A request becomes an *interaction* before anybody signs in, so that a slow sign-in loses nothing: a random id, good for
ten minutes and one answer, bound to the first session that sees it. The form holds only that id.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from penguinmails_api.identity.pages import PageRoute, Redirect, Visitor, VisitorDep, problem_page, redirect
from penguinmails_api.oauth2 import authorization, preload
from penguinmails_api.oauth2.authorization import AuthorizationRequest, back_to_client, must_sign_in
from penguinmails_api.oauth2.call import Call
from penguinmails_api.oauth2.consent_page import ANSWERED, show_consent
from penguinmails_api.oauth2.errors import OAuthError, invalid_request
from penguinmails_api.oauth2.forms import Parameters
from penguinmails_api.oauth2.shell import transaction
from penguinmails_core.errors import BadRequest, Conflict
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit.db import Connection
from penguinmails_core.oauth import consent_repository as repository
from penguinmails_core.oauth import flow_repository
from penguinmails_core.oauth.consent import INTERACTION_LIFETIME
from penguinmails_core.oauth.records import App, Store
from penguinmails_core.oauth.secrets import Kind, digest, new_secret

router = APIRouter(prefix="/oauth2", route_class=PageRoute, include_in_schema=False)


@router.get("/authorize")
async def authorize(request: Request, visitor: VisitorDep) -> Response:
    """RFC 6749 §3.1. What is wrong with client or redirect URI is shown here, everything else is told to the client."""
    state, issuer = None, visitor.services.oauth.issuer
    session = visitor.session
    try:
        parameters = Parameters.of(request.scope["query_string"])
        async with transaction(visitor.context) as (connection, call):
            app, parameters = await _read(connection, call, parameters)
            state = parameters.get("state")
            wanted = authorization.check(call, parameters)
            ask = must_sign_in(wanted, session, None)
            if "none" in wanted.prompts:
                raise _silent(wanted, signed_in=not ask)
            token = new_secret(Kind.INTERACTION)
            kept: dict[str, Any] = dict(parameters.lists)
            bound = session.id if session is not None else None
            await repository.add_interaction(connection, digest(token), app.id, kept, bound, INTERACTION_LIFETIME)
    except OAuthError as error:
        return refuse(visitor, error, issuer, state)
    if session is None or ask:
        return redirect(_sign_in(session, token))
    return await show_consent(visitor, session, app, wanted.scopes, token)


@router.get("/consent")
async def consent(visitor: VisitorDep, interaction: str = "") -> Response:
    """Back from signing in."""
    session = visitor.session
    if session is None:
        raise Redirect(_sign_in(None, interaction[:100]))
    row = await repository.open_interaction(visitor.services.database.worker, digest(interaction), session.id)
    if row is None:
        raise Conflict(ANSWERED)
    app = await flow_repository.app(visitor.services.database.worker, row["app_id"])
    if app is None:
        raise Conflict("The app was deleted a moment ago.")
    oauth = visitor.services.oauth
    if "device" in row["parameters"]:
        return await show_consent(visitor, session, app, row["parameters"]["scope"], interaction, device=True)
    call = oauth.new_call(Store(app=app))
    try:
        wanted = authorization.check(call, Parameters.stored(row["parameters"]))
    except OAuthError as error:
        return refuse(visitor, error, oauth.issuer, None)
    if must_sign_in(wanted, session, row["created_at"]):
        return redirect(_sign_in(session, interaction))
    return await show_consent(visitor, session, app, wanted.scopes, interaction)


async def _read(connection: Connection, call: Call, parameters: Parameters) -> tuple[App, Parameters]:
    """The app, and the parameters, from where they were pushed to if they were."""
    client_id = parameters.get("client_id")
    if client_id is None:
        raise invalid_request("client_id is missing.")
    await preload.app(connection, call, client_id)
    app = call.store.app
    if app is None:
        raise OAuthError("invalid_client", "There is no such app on this server.")
    reference = parameters.get("request_uri")
    if reference is None:
        return app, parameters
    pushed = None
    if reference.startswith(Kind.REQUEST):
        pushed = await repository.claim_pushed(connection, digest(reference), app.id)
    if pushed is None:
        raise OAuthError("invalid_request_uri", "The request_uri is unknown, was used, or has expired.")
    return app, Parameters.stored(pushed)


def _silent(wanted: AuthorizationRequest, *, signed_in: bool) -> OAuthError:
    """With `prompt=none` nobody may be asked anything; consent always is (OpenID Connect Core §3.1.2.6)."""
    if not signed_in:
        return OAuthError("login_required", "The person is not signed in.", redirect_uri=wanted.redirect_uri)
    return OAuthError("consent_required", "The person has to be asked.", redirect_uri=wanted.redirect_uri)


def _sign_in(session: Session | None, token: str) -> str:
    where = "/login" if session is None else "/login/confirm"
    return f"{where}?next=" + quote(f"/oauth2/consent?interaction={token}", safe="/")


def refuse(visitor: Visitor, error: OAuthError, issuer: str, state: str | None) -> Response:
    """To the client when its redirect URI is known to be its own, else a page."""
    if error.redirect_uri is None:
        return problem_page(visitor, BadRequest(f"The app asked in a wrong way: {error.description} ({error.error})"))
    return redirect(back_to_client(error.redirect_uri, issuer, state, **error.body))
