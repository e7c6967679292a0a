"""What clients call: token, revocation, introspection, device authorization, pushed requests, userinfo."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from penguinmails_api.oauth2 import documents, preload
from penguinmails_api.oauth2.cors import ANYBODY, allow
from penguinmails_api.oauth2.documents import endpoint
from penguinmails_api.oauth2.errors import OAuthError, json_answer
from penguinmails_api.oauth2.issuing import user_claims
from penguinmails_api.oauth2.setup import server
from penguinmails_api.oauth2.shell import answer
from penguinmails_api.routing import get_context
from penguinmails_core.errors import Unauthenticated
from penguinmails_core.oauth import flow_repository
from penguinmails_core.oauth.scopes import OPENID

router = APIRouter(prefix="/oauth2", tags=["oauth2"])


@router.post(
    "/token",
    summary="Get tokens",
    response_model=documents.TokenAnswer,
    **endpoint(
        "token",
        {
            "grant_type": "`authorization_code`, `refresh_token`, `client_credentials` or "
            "`urn:ietf:params:oauth:grant-type:device_code`.",
            "code": "Of the authorization endpoint.",
            "redirect_uri": "As sent there; may be left out.",
            "code_verifier": "Whose SHA-256 was the code_challenge (RFC 7636).",
            "refresh_token": "The newest one.",
            "device_code": "Of the device authorization endpoint.",
            "scope": "Less than was granted, separated by spaces.",
            "resource": "URL that the token is for (RFC 8707); may be repeated.",
        },
        required=("grant_type",),
    ),
)
async def token(request: Request) -> Response:
    """RFC 6749 §3.2. Refresh tokens are good once: a second use, other than at the same moment, revokes the grant.
    Send a DPoP proof (RFC 9449) to bind the tokens to a key."""
    return await answer(request, preload.token_request, server().create_token_response, required="grant_type")


@router.post(
    "/revoke",
    summary="Revoke a token",
    **endpoint(
        "revoke",
        {"token": "An access or refresh token.", "token_type_hint": "Ignored: tokens are known by their looks."},
        required=("token",),
        answers_nothing=True,
    ),
)
async def revoke(request: Request) -> Response:
    """RFC 7009. A refresh token ends everything that came of the same grant; an access token ends alone. Unknown tokens
    are fine."""
    return await answer(request, preload.shown_token, endpoint="revocation", required="token")


@router.post(
    "/introspect",
    summary="Ask about a token",
    response_model=documents.IntrospectionAnswer,
    **endpoint(
        "introspect",
        {"token": "An access or refresh token.", "token_type_hint": "Ignored: tokens are known by their looks."},
        required=("token",),
    ),
)
async def introspect(request: Request) -> Response:
    """RFC 7662. For confidential clients: about their own tokens, and about those for their organization."""
    return await answer(request, preload.shown_token, endpoint="introspection", required="token")


@router.post(
    "/device_authorization",
    summary="Begin on a device",
    response_model=documents.DeviceAnswer,
    **endpoint(
        "device_authorization",
        {"scope": "Separated by spaces.", "resource": "URL that the token is for (RFC 8707); may be repeated."},
    ),
)
async def device_authorization(request: Request) -> Response:
    """RFC 8628 §3.1. Show the person `verification_uri` and `user_code`, then poll the token endpoint."""
    return await answer(request, preload.nothing, endpoint="device_authorization")


@router.get(
    "/userinfo",
    summary="Who is the person?",
    response_model=documents.UserInfo,
    **endpoint("userinfo", errors=(401, 403)),
)
async def userinfo(request: Request) -> Response:
    """OpenID Connect Core §5.3, with an access token that has the scope `openid`."""
    try:
        return json_answer(200, await _userinfo(request), ANYBODY)
    except OAuthError as error:
        error.headers |= ANYBODY
        return error.response()


@router.post(
    "/userinfo",
    summary="Who is the person? (POST)",
    response_model=documents.UserInfo,
    **endpoint("userinfo_post", errors=(401, 403)),
)
async def userinfo_by_post(request: Request) -> Response:
    """As GET, for clients that POST (Core §5.3.1)."""
    return await userinfo(request)


async def _userinfo(request: Request) -> dict[str, object]:
    services = get_context(request).services
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "dpop") or not bearer:
        raise OAuthError("invalid_token", "Send an access token.", 401, headers={"WWW-Authenticate": "Bearer"})
    try:
        credential = await services.oauth.tokens.find(bearer.strip())
        await services.oauth.check_proof(credential, request.scope, request.headers["authorization"].encode("latin-1"))
        principal, token = credential.check(), await services.oauth.tokens.read(bearer.strip())
    except Unauthenticated as error:
        raise OAuthError("invalid_token", error.detail, 401, headers=error.headers) from None
    person = None
    if OPENID in token.scopes and principal.user_id is not None:
        person = await flow_repository.person(services.database.worker, principal.user_id, principal.scopes)
    if person is None:
        challenge = f'Bearer error="insufficient_scope", scope="{OPENID}"'
        raise OAuthError(
            "insufficient_scope", "The token has no scope openid.", 403, headers={"WWW-Authenticate": challenge}
        )
    return user_claims(person, list(token.scopes))


allow(router, "/token", "/revoke", "/introspect", "/device_authorization", "/userinfo")
