"""Pushed authorization requests (RFC 9126): checked before the browser leaves, bound to the client, good once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import APIRouter, Request, Response

from penguinmails_api.oauth2 import authorization, documents, preload
from penguinmails_api.oauth2.call import current
from penguinmails_api.oauth2.cors import allow
from penguinmails_api.oauth2.documents import endpoint
from penguinmails_api.oauth2.errors import OAuthError, invalid_request
from penguinmails_api.oauth2.grants.code import AUTH_METHODS
from penguinmails_api.oauth2.server import FormRequest, as_error
from penguinmails_api.oauth2.setup import server
from penguinmails_api.oauth2.shell import answer
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.secrets import Kind, digest, new_secret

router = APIRouter(prefix="/oauth2", tags=["oauth2"])

LIFETIME = timedelta(seconds=60)
_OF_CLIENT = ("client_secret", "client_assertion", "client_assertion_type")


@router.post(
    "/par",
    summary="Push an authorization request",
    status_code=201,
    response_model=documents.PushedAnswer,
    **endpoint(
        "par",
        {
            "response_type": "`code`.",
            "redirect_uri": "One that the app has registered.",
            "scope": "Separated by spaces.",
            "state": "Comes back.",
            "code_challenge": "SHA-256 of the code_verifier in base64url (RFC 7636).",
            "code_challenge_method": "`S256`.",
            "resource": "URL that tokens are for (RFC 8707); may be repeated.",
            "nonce": "Comes back in the id_token.",
        },
        required=("response_type", "code_challenge", "code_challenge_method"),
    ),
)
async def push(request: Request) -> Response:
    """RFC 9126. Takes what the authorization endpoint takes, and gives a `request_uri` for it, good once within a
    minute."""
    return await answer(request, preload.nothing, _push)


def _push(request: FormRequest) -> tuple[int, dict[str, Any], dict[str, str]]:
    call, parameters = current(), request.payload.parameters
    try:
        server().authenticate_client(request, AUTH_METHODS, "pushed_authorization_request")
    except OAuth2Error as error:
        raise as_error(error) from None
    if parameters.get("request_uri") is not None:
        raise invalid_request("A pushed request cannot name a request_uri.")
    try:
        authorization.check(call, parameters)
    except OAuthError as error:
        error.redirect_uri = None  # the client hears it here
        raise
    reference = new_secret(Kind.REQUEST)
    kept = {name: values for name, values in parameters.lists.items() if name not in _OF_CLIENT}
    assert call.store.app is not None
    call.store.write(sql.ADD_PUSHED_REQUEST, digest(reference), call.store.app.id, kept, LIFETIME)
    return 201, {"request_uri": reference, "expires_in": int(LIFETIME.total_seconds())}, {}


allow(router, "/par")
