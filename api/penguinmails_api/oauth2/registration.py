"""Dynamic client registration (RFC 7591) and its management (RFC 7592)."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from penguinmails_api.oauth2 import documents
from penguinmails_api.oauth2.cors import ANYBODY, allow
from penguinmails_api.oauth2.documents import registration as documented
from penguinmails_api.oauth2.errors import OAuthError, json_answer
from penguinmails_api.rate_limits.policies import Bound, Bucket, Line
from penguinmails_api.routing import get_context
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.oauth import dynamic
from penguinmails_core.oauth.dynamic import Registration, RegistrationRefused
from penguinmails_core.oauth.records import CODE_GRANT

router = APIRouter(prefix="/oauth2", tags=["oauth2"])

MAX_BYTES = 64 * 1024


@router.post(
    "/register",
    summary="Register an app",
    status_code=201,
    response_model=documents.RegistrationAnswer,
    **documented("register", body=True, errors=(400, 403, 429)),
)
async def register(request: Request) -> Response:
    """RFC 7591, for anybody. Such an app reads until an owner approves more, never acts alone, and people see that it
    is unverified. Use `POST /v1/oauth_apps` for apps of your own. Unused ones go after 30 days."""
    try:
        services = get_context(request).services
        if not services.oauth.settings.dynamic_registration:
            raise OAuthError("access_denied", "This server does not let apps register themselves.", 403)
        await _charge(request)
        try:
            made = await dynamic.register(services.database.worker, await _read(request))
        except RegistrationRefused as error:
            raise OAuthError(error.error, error.description) from None
        return json_answer(201, _shown(made, services.oauth.issuer), ANYBODY)
    except OAuthError as error:
        return _refused(error)


@router.get(
    "/register/{client_id}",
    summary="Read a registration",
    response_model=documents.RegistrationAnswer,
    **documented("register_get", errors=(401,)),
)
async def read(request: Request, client_id: documents.ClientIdInPath) -> Response:
    """RFC 7592 §2.1, with the registration access token."""
    try:
        known = await _known(request, client_id)
        return json_answer(200, _shown(known, get_context(request).services.oauth.issuer), ANYBODY)
    except OAuthError as error:
        return _refused(error)


@router.put(
    "/register/{client_id}",
    summary="Change a registration",
    response_model=documents.RegistrationAnswer,
    **documented("register_update", body=True, errors=(400, 401)),
)
async def change(request: Request, client_id: documents.ClientIdInPath) -> Response:
    """RFC 7592 §2.2: the whole metadata. Other redirect URIs, or more scopes, need a new approval."""
    try:
        services, known = get_context(request).services, await _known(request, client_id)
        metadata = await _read(request)
        if metadata.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_client_metadata", "client_id cannot be changed.")
        try:
            made = await dynamic.update(services.database.worker, known, metadata)
        except RegistrationRefused as error:
            raise OAuthError(error.error, error.description) from None
        services.doorbell.ring(TOKENS)
        return json_answer(200, _shown(made, services.oauth.issuer), ANYBODY)
    except OAuthError as error:
        return _refused(error)


@router.delete(
    "/register/{client_id}",
    summary="Delete a registration",
    status_code=204,
    **documented("register_delete", errors=(401,)),
)
async def remove(request: Request, client_id: documents.ClientIdInPath) -> Response:
    """RFC 7592 §2.3. Every token of it ends."""
    try:
        services = get_context(request).services
        await dynamic.delete(services.database.worker, await _known(request, client_id))
        services.doorbell.ring(TOKENS)
        return Response(status_code=204, headers=ANYBODY)
    except OAuthError as error:
        return _refused(error)


async def _charge(request: Request) -> None:
    """Strangers fill a table here, so each address has a small budget of its own."""
    context = get_context(request)
    burst = context.services.oauth.settings.registration_burst
    bucket = Bucket("registration", 1, burst)
    verdict = await context.services.limiter.take(Bound([Line(bucket, f"r:{context.client_address}")]))
    if not verdict.allowed:
        headers = {"Retry-After": str(max(1, int(verdict.retry_after) + 1))}
        raise OAuthError("temporarily_unavailable", "Too many registrations from here.", 429, headers=headers)


async def _read(request: Request) -> dict[str, Any]:
    body = await request.body()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise OAuthError("invalid_client_metadata", "Send JSON with Content-Type: application/json.")
    try:
        metadata = orjson.loads(body) if len(body) <= MAX_BYTES else None
    except orjson.JSONDecodeError:
        metadata = None
    if not isinstance(metadata, dict) or _holds_nul(metadata):
        raise OAuthError("invalid_client_metadata", "The body must be a JSON object of at most 64 KB.")
    return metadata


def _holds_nul(value: Any) -> bool:
    return b"\\u0000" in orjson.dumps(value)


async def _known(request: Request, client_id: str) -> Registration:
    """Raises 401 for unknown apps and wrong tokens alike (RFC 7592 §2.1)."""
    services = get_context(request).services
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = None
    if scheme.lower() == "bearer" and token:
        try:
            app_id = ids.decode(Prefix.OAUTH_APP, client_id)
        except ids.IdError:
            app_id = None
        if app_id is not None:
            known = await dynamic.find(services.database.worker, app_id, token.strip())
    if known is None:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise OAuthError("invalid_token", "The registration access token is not of this app.", 401, headers=headers)
    return known


def _shown(made: Registration, issuer: str) -> dict[str, Any]:
    """RFC 7591 §3.2.1: everything as it was registered, which can be less than was asked for."""
    client_id, values = ids.encode(Prefix.OAUTH_APP, made.id), made.values
    shown: dict[str, Any] = {
        "client_id": client_id,
        "client_id_issued_at": int(made.created_at.timestamp()),
        "client_name": values["name"],
        "redirect_uris": list(values["redirect_uris"]),
        "grant_types": list(values["grant_types"]),
        "response_types": ["code"] if CODE_GRANT in values["grant_types"] else [],
        "token_endpoint_auth_method": made.method,
        "scope": " ".join(values["scopes"]),
        "id_token_signed_response_alg": values["id_token_alg"],
        "dpop_bound_access_tokens": values["dpop_bound"],
        "registration_client_uri": f"{issuer}/oauth2/register/{client_id}",
    }
    for name in ("client_uri", "policy_uri", "tos_uri", "software_id", "software_version"):
        if values[name] is not None:
            shown[name] = values[name]
    if values["contacts"]:
        shown["contacts"] = list(values["contacts"])
    if made.secret is not None:
        shown |= {"client_secret": made.secret, "client_secret_expires_at": 0}
    if made.access_token is not None:
        shown["registration_access_token"] = made.access_token
    return shown


def _refused(error: OAuthError) -> Response:
    error.headers |= ANYBODY
    return error.response()


allow(router, "/register", "/register/{client_id}")
