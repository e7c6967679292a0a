"""Bearer credentials of a request, and whether they still open the door when an answer goes on for long."""

from __future__ import annotations

from penguinmails_api.context import RequestContext
from penguinmails_api.identity import browser
from penguinmails_core.errors import Forbidden, Problem, Unauthenticated, Unavailable
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope


def bearer_of(authorization: bytes | None) -> str | None:
    """The key or token of an Authorization header."""
    if authorization is None:
        return None
    if authorization.startswith(b"Bearer "):
        return authorization[7:].decode("latin-1")
    scheme, _, value = authorization.partition(b" ")
    text = value.strip().decode("latin-1")
    if scheme.lower() == b"dpop":  # RFC 9449 §7.1; keys are never bound
        return text if text.startswith("eyJ") else None
    return text if scheme.lower() == b"bearer" else None


async def still_lets_in(context: RequestContext) -> Problem | None:
    """None while the credential that opened a stream is good and means the same; else what a new request would be
    told. While the database is away nobody is thrown out."""
    try:
        principal = await _principal(context)
        principal.require(Scope.EVENTS_READ)
    except Unavailable:
        return None
    except Problem as problem:
        return problem
    before = context.caller
    same = (principal.organization_id, principal.workspace_id, principal.mode) == (
        before.organization_id,
        before.workspace_id,
        before.mode,
    )
    return None if same else Forbidden("The credentials see something else than when the stream was opened.")


async def _principal(context: RequestContext) -> Principal:
    services = context.services
    headers = dict(context.scope["headers"])
    if context.session is not None:
        session = await browser.session_of(services, headers.get(b"cookie"))
        if session is None:
            raise Unauthenticated("The session has ended. Sign in again.")
        return await browser.principal_of(services, session)
    key = bearer_of(headers.get(b"authorization"))
    if key is None:
        raise Unauthenticated("Send an API key.")
    source = services.source_of(key)
    credential = source.cached(key) or await source.find(key)
    if credential.networks:
        credential.check_address(context.client_address)
    return credential.check()
