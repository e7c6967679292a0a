"""Errors as ``application/problem+json`` (RFC 9457), in the shape of the API's."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from penguinmails_core.errors import FieldError, Internal, MethodNotAllowed, NotFound, Problem


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": [{"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in errors],
    }
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/problem+json")


def render(request: Request, error: Exception) -> Response:
    """Exception handler for every kind of error."""
    found = error if isinstance(error, Problem) else _as_problem(request, error)
    return problem(found.status, found.code, found.title, found.detail, found.errors, found.headers)


def _as_problem(request: Request, error: Exception) -> Problem:
    if isinstance(error, HTTPException) and error.status_code == 404:
        return NotFound(f"There is nothing at {request.url.path}.")
    if isinstance(error, HTTPException) and error.status_code == 405:
        return MethodNotAllowed(f"{request.url.path} does not answer to {request.method}.", headers=error.headers)
    return Internal()
