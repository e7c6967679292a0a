"""Errors as classes; one handler in the API renders them as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the request. `pointer` is a JSON Pointer into the body (RFC 6901), or the name of a
    parameter or header; `detail` names the limit and the fix."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """Base of every error a caller may see.

    `status`, `code` and `title` are fixed for the class; `detail` says what happened this time.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class BadRequest(Problem):
    status, code, title = 400, "bad_request", "The request could not be read"


class InvalidJson(BadRequest):
    code, title = "invalid_json", "The body is not valid JSON"


class InvalidIdempotencyKey(BadRequest):
    code, title = "invalid_idempotency_key", "The Idempotency-Key header is not usable"


class KeyInQuery(BadRequest):
    code, title = "key_in_query", "API keys are not accepted in the URL"


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "No valid credentials were sent"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "These credentials may not do that"


class MissingScope(Forbidden):
    code, title = "missing_scope", "The key lacks a scope"


class DomainNotVerified(Forbidden):
    code, title = "domain_not_verified", "The sender's domain is not verified"


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is no such thing here"


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "The resource does not answer to this method"


class NotAcceptable(Problem):
    status, code, title = 406, "not_acceptable", "The resource has no such representation"


class Conflict(Problem):
    status, code, title = 409, "conflict", "The resource is in a state that does not allow this"


class IdempotencyInFlight(Conflict):
    code, title = "idempotency_key_in_use", "A request with this Idempotency-Key is still being worked on"


class PayloadTooLarge(Problem):
    status, code, title = 413, "payload_too_large", "The request is larger than allowed"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "The body must be JSON"


class Unprocessable(Problem):
    status, code, title = 422, "validation_failed", "Some fields need attention"


class IdempotencyMismatch(Unprocessable):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request"


class RateLimited(Problem):
    status, code, title = 429, "rate_limit_exceeded", "Too many requests"


class Internal(Problem):
    pass


class Unavailable(Problem):
    status, code, title = 503, "unavailable", "A part of the service is down for the moment"
