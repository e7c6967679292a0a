"""The OpenAPI 3.1 document. FastAPI's draft is completed here: problems, headers, security, and webhooks.

`python -m penguinmails_api.openapi [file]` writes it (default: openapi/v1.json).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from penguinmails_api.version import VERSION
from penguinmails_core import scopes
from penguinmails_core.idempotency.keys import MAX_CHARACTERS
from penguinmails_webhooks.events import openapi_webhooks

Document = dict[str, Any]

DESCRIPTION = """\
Send email and know what became of it.

Authenticate with `Authorization: Bearer pm_live_...`, or `pm_test_...` for test data, which never leaves the server.
Every answer carries `Request-Id`; quote it when you ask us something. Errors are `application/problem+json` (RFC 9457).
Every POST takes an `Idempotency-Key`: the same key with the same request gives the same answer and does the work once
(24 hours). Lists are read with `limit`, `after` and `before`.
"""

TAGS = (
    ("me", "Who a key belongs to."),
    ("emails", "Send messages and follow them."),
    ("events", "Everything that happened, in order, to read at your own pace."),
    ("webhook_endpoints", "Where events are pushed to."),
    ("webhooks", "What webhook endpoints receive."),
    ("operations", "For those who run the server."),
)

_ERRORS = {
    400: ("BadRequest", "The request could not be read.", "invalid_json"),
    401: ("Unauthenticated", "No valid API key was sent.", "unauthenticated"),
    403: ("Forbidden", "The key may not do this.", "missing_scope"),
    404: ("NotFound", "There is no such thing, or it is not yours.", "not_found"),
    409: ("Conflict", "The state does not allow this, or a request with this key still runs.", "conflict"),
    413: ("PayloadTooLarge", "The body is over the limit.", "payload_too_large"),
    415: ("UnsupportedMediaType", "The body is not JSON.", "unsupported_media_type"),
    422: ("Unprocessable", "Some fields need attention.", "validation_failed"),
    429: ("TooManyRequests", "Over the rate limit.", "rate_limit_exceeded"),
    500: ("InternalError", "Our fault.", "internal_error"),
    503: ("Unavailable", "A part of the service is away.", "unavailable"),
}

_HEADERS: Document = {
    "Request-Id": {
        "description": "Names this request in our logs.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-z]{26}$"},
    },
    "PenguinMails-Version": {
        "description": "Version of this specification.",
        "required": True,
        "schema": {"type": "string", "examples": [VERSION]},
    },
    "RateLimit-Limit": {"description": "Requests allowed at once.", "required": True, "schema": {"type": "integer"}},
    "RateLimit-Remaining": {
        "description": "Requests left at this moment.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "RateLimit-Reset": {"description": "Seconds until all are back.", "required": True, "schema": {"type": "integer"}},
    "RateLimit-Policy": {
        "description": "All limits: q requests in w seconds (draft-ietf-httpapi-ratelimit-headers).",
        "required": True,
        "schema": {"type": "string", "examples": ['"default";q=600000;w=60, "burst";q=20000;w=2']},
    },
    "RateLimit": {
        "description": "What is left of the nearest limit, and in how many seconds it is whole again.",
        "required": True,
        "schema": {"type": "string", "examples": ['"burst";r=19999;t=1']},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to authenticate.", "required": True, "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true` when this is the stored answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
_PUBLIC_ERRORS = (404, 500, 503)
_ALWAYS = ("Request-Id", "PenguinMails-Version")
_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "RateLimit")

_FIELD_ERROR: Document = {
    "type": "object",
    "title": "FieldError",
    "description": "One thing wrong with the request.",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "JSON Pointer into the body (RFC 6901), or the name of a parameter.",
            "examples": ["/to/0"],
        },
        "code": {"type": "string", "description": "Stable name of what is wrong.", "examples": ["required"]},
        "detail": {"type": "string", "description": "The limit and the fix, for people."},
    },
}
_PROBLEM: Document = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457). Some problems have further members; see their page at `type`.",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "Leads to a page about this kind of problem; relative to the server's URL.",
            "examples": ["/problems/validation_failed"],
        },
        "title": {"type": "string", "description": "The kind of problem, the same each time."},
        "status": {"type": "integer", "description": "The HTTP status.", "examples": [422]},
        "detail": {"type": "string", "description": "What happened this time and what to do."},
        "code": {"type": "string", "description": "Stable name of the kind.", "examples": ["validation_failed"]},
        "request_id": {"type": "string", "description": "As in Request-Id."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
    "additionalProperties": True,
}
_IDEMPOTENCY_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: the same key with the same request gives the same answer, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": "^[!-~]+$"},
}


def build(routes: Sequence[BaseRoute]) -> Document:
    """The document for these routes."""
    document = get_openapi(
        title="PenguinMails",
        version=VERSION,
        openapi_version="3.1.0",
        summary="Self-hosted API platform for outbound email",
        description=DESCRIPTION,
        routes=routes,
        tags=[{"name": name, "description": text} for name, text in TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The server that this document came from"}],
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"apiKey": _security_scheme()}
    components["headers"] = _HEADERS
    components["responses"] = _problem_responses()
    components["parameters"] = {"IdempotencyKey": _IDEMPOTENCY_KEY}
    schemas = components.setdefault("schemas", {})
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {"Problem": _PROBLEM, "FieldError": _FIELD_ERROR}
    document["webhooks"], event_schemas = openapi_webhooks()
    for name, schema in event_schemas.items():
        schemas.setdefault(name, schema)
    return document


def _complete(operation: Document) -> None:
    """Headers of every answer, and the problems that `routing.operation` named."""
    under_key = bool(operation["security"])
    headers = (*_ALWAYS, *(_LIMITS if under_key else ()))
    responses = operation["responses"]
    if "content" in responses.get("422", {}) and "HTTPValidationError" in json.dumps(responses["422"]):
        del responses["422"]
    if operation.get("x-idempotent"):
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
        headers = (*headers, "Idempotency-Replayed")
    for response in responses.values():
        for media_type, entry in response.get("content", {}).items():
            if media_type == "application/octet-stream":  # both spellings of "bytes", for old and new generators
                entry["schema"] = {"type": "string", "format": "binary"}
        response.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in headers})
    suffix = "" if under_key else "Public"
    for status in operation.pop("x-errors"):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{_ERRORS[status][0]}{suffix}"})
    operation["responses"] = dict(sorted(responses.items()))


def _problem_responses() -> Document:
    """One for each status, and a second one for the routes that need no key and so know no limits."""
    responses = {}
    for status, (name, text, code) in _ERRORS.items():
        responses[name] = _problem_response(status, text, code, (*_ALWAYS, *_LIMITS))
        if status in _PUBLIC_ERRORS:
            responses[name + "Public"] = _problem_response(status, text, code, _ALWAYS)
    return responses


def _problem_response(status: int, text: str, code: str, headers: tuple[str, ...]) -> Document:
    if status in (409, 429, 503):
        headers = (*headers, "Retry-After")
    if status == 401:
        headers = (*headers, "WWW-Authenticate")
    example = {
        "type": f"/problems/{code}",
        "title": text,
        "status": status,
        "detail": text,
        "code": code,
        "request_id": "req_01kaz6yzwhe1xrqm3c8s4q3m8r",
        "errors": [],
    }
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
        },
    }


def _security_scheme() -> Document:
    granted = "; ".join(f"`{scope}`: {text}" for scope, text in scopes.DESCRIPTIONS.items())
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pm_live_... or pm_test_...",
        "description": f"An API key. Its scopes say what it may do. {granted}. Write scopes imply read scopes.",
    }


def render(document: Document) -> str:
    """Sorted and indented, so that a change of the API is a small difference of the file."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    from penguinmails_api.app import api

    target = Path(sys.argv[1] if len(sys.argv) > 1 else "openapi/v1.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(api().openapi()), encoding="utf-8")


if __name__ == "__main__":
    main()
