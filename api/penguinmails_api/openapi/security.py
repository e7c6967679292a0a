"""The ways in: API keys, OAuth2 access tokens and the cookie of a browser session."""

from __future__ import annotations

from typing import Any

from penguinmails_api.routing import OAUTH
from penguinmails_core.oauth.scopes import IDENTITY_SCOPES
from penguinmails_core.scopes import DESCRIPTIONS

Document = dict[str, Any]

_TOKEN = "/oauth2/token"  # noqa: S105  (a path)


def security_schemes() -> Document:
    """By the names that `routing.SCHEMES` lists. URLs are relative to the server (OpenAPI 3.1 §4.6)."""
    return {"apiKey": _api_key(), OAUTH: _oauth2(), "session": _session()}


def _api_key() -> Document:
    granted = "; ".join(f"`{scope}`: {text}" for scope, text in DESCRIPTIONS.items())
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pm_live_... or pm_test_...",
        "description": f"An API key. Its scopes say what it may do. {granted}. Write scopes imply read scopes.",
    }


def _oauth2() -> Document:
    scopes = {str(scope): text for scope, text in DESCRIPTIONS.items()}
    code = {"authorizationUrl": "/oauth2/authorize", "tokenUrl": _TOKEN, "refreshUrl": _TOKEN}
    return {
        "type": "oauth2",
        "description": "An access token of this server, for apps that act for a person (code with PKCE, or a device "
        "code) or for their own organization (client credentials). Tokens are JWTs, signed with ES256 and checked as "
        "RFC8725 and RFC 9068 say. All endpoints are in `/.well-known/oauth-authorization-server`.",
        "flows": {
            "authorizationCode": {**code, "scopes": scopes | IDENTITY_SCOPES},
            "clientCredentials": {"tokenUrl": _TOKEN, "scopes": scopes},
        },
    }


def _session() -> Document:
    return {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-pm_session",
        "description": "A person who is signed in with a browser on this server's own pages (on plain http the cookie "
        "is called `pm_session`). Their role in the organization says what they may do, in the same scopes. Requests "
        "from other sites are refused; keys, secrets and deletion ask for a fresh sign-in.",
    }
