"""How errors are described: one response for each status, and the two schemas they share."""

from __future__ import annotations

from typing import Any

from penguinmails_api.openapi.headers import ALWAYS, LIMITS

Document = dict[str, Any]

ERRORS = {
    400: ("BadRequest", "The request could not be read.", "invalid_json"),
    401: ("Unauthenticated", "No valid API key, access token or session cookie was sent.", "unauthenticated"),
    403: ("Forbidden", "The caller may not do this.", "missing_scope"),
    404: ("NotFound", "There is no such thing, or it is not yours.", "not_found"),
    409: ("Conflict", "The state does not allow this, or a request with this key still runs.", "conflict"),
    410: ("Gone", "The place is older than what is kept.", "event_expired"),
    412: ("PreconditionFailed", "It has changed since you read it.", "precondition_failed"),
    413: ("PayloadTooLarge", "The body is over the limit.", "payload_too_large"),
    415: ("UnsupportedMediaType", "The body is not JSON.", "unsupported_media_type"),
    422: ("Unprocessable", "Some fields need attention.", "validation_failed"),
    429: ("TooManyRequests", "Over the rate limit.", "rate_limit_exceeded"),
    500: ("InternalError", "Our fault.", "internal_error"),
    503: ("Unavailable", "A part of the service is away.", "unavailable"),
}

_PUBLIC = (404, 500, 503)

FIELD_ERROR: Document = {
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
PROBLEM: Document = {
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


def problem_responses() -> Document:
    """One for each status, and a second one for the routes that need no key and so know no limits."""
    responses = {}
    for status, (name, text, code) in ERRORS.items():
        responses[name] = _problem_response(status, text, code, (*ALWAYS, *LIMITS))
        if status in _PUBLIC:
            responses[name + "Public"] = _problem_response(status, text, code, ALWAYS)
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
