"""From any exception to the problem that the caller sees. Nothing internal ever gets out."""

from __future__ import annotations

import json
import logging
from collections.abc import MutableMapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from penguinmails_api.context import RequestContext
from penguinmails_core.errors import (
    BadRequest,
    FieldError,
    Internal,
    InvalidJson,
    MethodNotAllowed,
    NotFound,
    Problem,
    Unavailable,
    Unprocessable,
)
from penguinmails_core.kit.db import AWAY

log = logging.getLogger(__name__)

_DATABASE_AWAY = (*AWAY, OperationalError, InterfaceError, PoolTimeout)


def as_problem(error: Exception, ctx: RequestContext, scope: MutableMapping[str, Any], route: str) -> Problem:
    """`route` is the template under which the error is logged."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid_request(error)
        case HTTPException():
            return _http_problem(error, scope)
        case ClientDisconnect():
            return BadRequest("The connection ended before the body was complete.")
    if _is_database_away(error):
        log.warning("the database is away (%s)", type(error).__name__, extra={"request_id": ctx.request_id})
        return Unavailable("The database is not reachable. Try again.", headers={"Retry-After": "1"})
    log.error(
        "%s %s failed (%s)",
        scope["method"],
        route,
        ctx.request_id,
        exc_info=error,
        extra={"request_id": ctx.request_id},
    )
    return Internal("Something went wrong on our side. It is logged under this request_id.")


def route_template(scope: MutableMapping[str, Any]) -> str:
    """``/v1/emails/{email_id}``; never the path itself, which holds ids and grows without bound."""
    return getattr(scope.get("route"), "path", "unmatched")


def _is_database_away(error: Exception) -> bool:
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        cause = error.orig.__cause__
        return error.connection_invalidated or isinstance(cause, _DATABASE_AWAY)
    return isinstance(error, _DATABASE_AWAY)


def _http_problem(error: HTTPException, scope: MutableMapping[str, Any]) -> Problem:
    if error.status_code == 405:
        allowed = scope["app"].methods_of(scope["path"])
        return MethodNotAllowed(f"{scope['method']} is not possible here; {allowed} is.", headers={"Allow": allowed})
    if error.status_code == 404:
        return NotFound("There is nothing at this path. GET /openapi.json lists what there is.")
    if isinstance(error.__cause__, Problem):  # raised while FastAPI read the body
        return error.__cause__
    if error.status_code == 400:
        return InvalidJson("The body could not be read as JSON in UTF-8.")
    return Internal("Something went wrong on our side.")


def _invalid_request(error: RequestValidationError) -> Problem:
    details = error.errors()
    for detail in details:
        if detail["type"] == "json_invalid":
            return _json_problem(detail, error.body)
    return validation_problem(details)


def _json_problem(detail: Any, document: Any) -> Problem:
    message, position = str(detail.get("ctx", {}).get("error", "not JSON")), int(detail["loc"][-1])
    text = document if isinstance(document, str) else ""
    found = json.JSONDecodeError(message, text, min(position, len(text)))
    return invalid_json(message, found.lineno, found.colno)


def invalid_json(message: str, line: int, column: int) -> InvalidJson:
    detail = f"{message} at line {line}, column {column}."
    return InvalidJson(f"The body is not valid JSON: {detail}", errors=[FieldError("", "invalid_json", detail)])


def validation_problem(details: Sequence[Any]) -> Unprocessable:
    """A 422 from the errors of pydantic: body fields as JSON Pointers, parameters and headers by name."""
    errors = [_field_error(detail) for detail in details]
    return Unprocessable(
        errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`.", errors=errors
    )


def invalid_body(error: ValidationError) -> Unprocessable:
    """For code that validates a body itself (`Model.model_validate(...)`)."""
    return validation_problem([{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()])


def _field_error(detail: Any) -> FieldError:
    place, *path = detail["loc"]
    if place == "body":
        pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
        name = ".".join(str(part) for part in path) or "body"
    else:
        pointer = name = str(path[0]) if path else str(place)
    return FieldError(pointer, _CODES.get(detail["type"], detail["type"]), _explain(name, detail))


_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "less_than_equal": "too_large",
    "greater_than_equal": "too_small",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "enum": "not_allowed",
    "literal_error": "not_allowed",
}


_MOMENT = "2026-12-24T18:00:00Z"


def _explain(name: str, detail: Any) -> str:
    """One sentence that names the field, the limit and the fix."""
    context = detail.get("ctx") or {}
    value = detail.get("input")
    match detail["type"]:
        case "missing":
            return f"`{name}` is required."
        case "extra_forbidden":
            return f"`{name}` is not known here. Remove it or check its spelling."
        case "less_than_equal":
            return f"`{name}` must be at most {context['le']}; it is {_short(value)}."
        case "greater_than_equal":
            return f"`{name}` must be at least {context['ge']}; it is {_short(value)}."
        case "string_too_long":
            return f"`{name}` may have at most {context['max_length']} characters."
        case "string_too_short":
            return f"`{name}` must have at least {context['min_length']} characters."
        case "enum" | "literal_error":
            return f"`{name}` must be {context['expected']}; it is {_short(value)}."
        case "value_error":
            return f"`{name}`: {context['error']}"
        case "datetime_from_date_parsing" | "datetime_parsing" | "datetime_type" | "timezone_aware":
            return f"`{name}` must be a time with an offset (RFC 3339) such as {_MOMENT}; it is {_short(value)}."
        case _:
            return f"`{name}`: {detail['msg']}."


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 50 else text[:50] + "…"
