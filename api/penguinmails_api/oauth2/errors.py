"""Errors as RFC 6749 §5.2 has them: a code and one sentence, as JSON. Not problem+json: clients know these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """Raised by the shell for what it refuses before Authlib sees it. `redirect_uri` is set once an error may be sent
    to the client through the browser."""

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        *,
        headers: Mapping[str, str] | None = None,
        redirect_uri: str | None = None,
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.headers = dict(headers or {})
        self.redirect_uri = redirect_uri

    @property
    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.description}

    def response(self) -> Response:
        return json_answer(self.status, self.body, self.headers)


def json_answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, {**NO_STORE, **(headers or {})}, "application/json")


def invalid_request(description: str) -> OAuthError:
    return OAuthError("invalid_request", description)


def invalid_client(with_basic: bool = False) -> OAuthError:
    """The same words for unknown clients and wrong secrets. The challenge is sent only to those who answered it before
    (RFC 6749 §5.2): libraries take it for the end of the line."""
    headers = {"WWW-Authenticate": 'Basic realm="PenguinMails"'} if with_basic else {}
    return OAuthError("invalid_client", "Client authentication failed.", 401, headers=headers)
