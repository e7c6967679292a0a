"""What clients find out by themselves: RFC 8414, OpenID Connect Discovery, RFC 9728, and the keys (RFC 7517)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from penguinmails_api.oauth2.cors import ANYBODY, allow
from penguinmails_api.oauth2.errors import json_answer
from penguinmails_api.oauth2.service import RESOURCES
from penguinmails_api.routing import get_context, public
from penguinmails_core.errors import NotFound
from penguinmails_core.oauth.dpop import ALGORITHMS
from penguinmails_core.oauth.keys import ES256, JWKS_MAX_AGE, RS256
from penguinmails_core.oauth.records import GRANT_TYPES
from penguinmails_core.oauth.scopes import SUPPORTED
from penguinmails_core.scopes import ALL_SCOPES

router = APIRouter(tags=["oauth2"])

Part = Annotated[str, Path(json_schema_extra={"maxLength": 20}, description="Which part of the API.", examples=["v1"])]

_CACHED = ANYBODY | {"Cache-Control": f"public, max-age={int(JWKS_MAX_AGE.total_seconds())}"}
_CLIENT_AUTH = ["client_secret_basic", "client_secret_post"]
_ANYTHING: dict[str, Any] = {"type": "object", "additionalProperties": True}


def document(name: str) -> dict[str, Any]:
    """Keyword arguments for a route that answers a document of another standard."""
    made = public(f"oauth2_{name}", errors=(404, 503) if "part" in name else (503,))
    example: dict[str, Any] = {"issuer": "https://mail.example.com"} if name != "jwks" else {"keys": []}
    made["responses"] = {
        200: {
            "content": {"application/json": {"schema": _ANYTHING, "example": example}},
            "description": "The document.",
        }
    }
    return made


def server_metadata(issuer: str, *, registration: bool) -> dict[str, Any]:
    """RFC 8414 §2, with what RFC 8628, 9126, 9207 and 9449 add."""
    at = issuer + "/oauth2/"
    told = {
        "issuer": issuer,
        "authorization_endpoint": at + "authorize",
        "token_endpoint": at + "token",
        "jwks_uri": issuer + "/.well-known/jwks.json",
        "registration_endpoint": at + "register",
        "scopes_supported": list(SUPPORTED),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": [*_CLIENT_AUTH, "none"],
        "revocation_endpoint": at + "revoke",
        "revocation_endpoint_auth_methods_supported": [*_CLIENT_AUTH, "none"],
        "introspection_endpoint": at + "introspect",
        "introspection_endpoint_auth_methods_supported": _CLIENT_AUTH,
        "code_challenge_methods_supported": ["S256"],
        "device_authorization_endpoint": at + "device_authorization",
        "pushed_authorization_request_endpoint": at + "par",
        "require_pushed_authorization_requests": False,
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": [issuer + path for path in RESOURCES],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "service_documentation": issuer + "/docs",
    }
    if not registration:
        del told["registration_endpoint"]
    return told


def openid_metadata(issuer: str, *, registration: bool) -> dict[str, Any]:
    """OpenID Connect Discovery §3: a superset."""
    return server_metadata(issuer, registration=registration) | {
        "userinfo_endpoint": issuer + "/oauth2/userinfo",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [RS256, ES256],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "amr", "email", "email_verified", "name"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def resource_metadata(issuer: str, path: str) -> dict[str, Any]:
    """RFC 9728 §2, for the whole API or a part of it."""
    return {
        "resource": issuer + path,
        "resource_name": "PenguinMails API",
        "authorization_servers": [issuer],
        "jwks_uri": issuer + "/.well-known/jwks.json",
        "scopes_supported": [str(scope) for scope in ALL_SCOPES],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_bound_access_tokens_required": False,
        "resource_documentation": issuer + "/docs",
    }


@router.get(
    "/.well-known/oauth-authorization-server",
    summary="Metadata of the OAuth server",
    **document("server_metadata"),
)
async def get_server_metadata(request: Request) -> Response:
    """RFC 8414."""
    oauth = get_context(request).services.oauth
    told = server_metadata(oauth.issuer, registration=oauth.settings.dynamic_registration)
    return json_answer(200, told, _CACHED)


@router.get(
    "/.well-known/openid-configuration", summary="Metadata of the OpenID provider", **document("openid_metadata")
)
async def get_openid_metadata(request: Request) -> Response:
    """OpenID Connect Discovery 1.0."""
    oauth = get_context(request).services.oauth
    told = openid_metadata(oauth.issuer, registration=oauth.settings.dynamic_registration)
    return json_answer(200, told, _CACHED)


@router.get("/.well-known/oauth-protected-resource", summary="Metadata of the API", **document("resource_metadata"))
async def get_resource_metadata(request: Request) -> Response:
    """RFC 9728: which OAuth server gives tokens for this API. Every 401 leads here (`resource_metadata`)."""
    return json_answer(200, resource_metadata(get_context(request).services.oauth.issuer, ""), _CACHED)


@router.get(
    "/.well-known/oauth-protected-resource/{part}",
    summary="Metadata of a part of the API",
    **document("resource_part_metadata"),
)
async def get_resource_part_metadata(request: Request, part: Part) -> Response:
    """RFC 9728 §3.1, for `v1`, `v2` and `graphql`."""
    if f"/{part}" not in RESOURCES:
        raise NotFound("There is no such resource.")
    return json_answer(200, resource_metadata(get_context(request).services.oauth.issuer, f"/{part}"), _CACHED)


@router.get("/.well-known/jwks.json", summary="Keys that tokens are signed with", **document("jwks"))
async def get_jwks(request: Request) -> Response:
    """RFC 7517. New keys are here two hours before they sign, old ones until nothing they signed is good any more."""
    ring = get_context(request).services.oauth.ring
    await ring.ready()
    return json_answer(200, ring.jwks(), _CACHED)


allow(
    router,
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/{part}",
    "/.well-known/jwks.json",
)
