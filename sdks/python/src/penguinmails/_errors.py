"""What can go wrong, as classes: catch `PenguinMailsError` for everything, or the one you can do something about."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_SNIPPET = 200  # characters of an unreadable answer that a message quotes


class PenguinMailsError(Exception):
    """Base of every error of this package."""


class APIConnectionError(PenguinMailsError):
    """No answer came: the server is down, the name does not resolve, or the connection broke."""


class APITimeoutError(APIConnectionError):
    """No answer came in time. The request may have been carried out.

    Repeating a POST with the same `idempotency_key` is safe."""


class APIResponseError(PenguinMailsError):
    """An answer came with a 2xx status, but this SDK cannot read it. `response` holds it."""

    def __init__(self, message: str, response: httpx.Response) -> None:
        super().__init__(message)
        self.response = response
        self.request_id = response.headers.get("request-id")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: a JSON Pointer or parameter name, a code for programs, a text for people."""

    pointer: str
    code: str
    detail: str


class APIStatusError(PenguinMailsError):
    """The server answered with an error.

    `status_code`; `code`, `title`, `detail` and `errors` of the problem document (RFC 9457), empty when the answer
    was none (a proxy's HTML page); `request_id` to name in a bug report; `body`, the parsed JSON or the text;
    `response`, the `httpx.Response`.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status_code = response.status_code
        self.body: Any = _body(response)
        problem: Mapping[str, Any] = self.body if isinstance(self.body, dict) else {}
        self.code = _text(problem.get("code"))
        self.title = _text(problem.get("title"))
        self.detail = _text(problem.get("detail"))
        self.errors = _field_errors(problem.get("errors"))
        self.request_id: str | None = response.headers.get("request-id") or _text(problem.get("request_id")) or None
        super().__init__(self._message())

    def _message(self) -> str:
        if not (self.code or self.title or self.detail):
            text = self.body if isinstance(self.body, str) else json.dumps(self.body)
            kind = self.response.headers.get("content-type", "no content type").split(";")[0]
            said = " ".join(text.split())[:_SNIPPET]
            message = f"{self.status_code} {self.response.reason_phrase}: the answer is no problem document ({kind})"
            message += f": {said}" if said else ", its body is empty"
            if 300 <= self.status_code < 400:
                message += (
                    f"; redirects are not followed, check base_url (location: {self.response.headers.get('location')})"
                )
        else:
            message = f"{self.status_code} {self.code}: {self.detail or self.title}"
            for error in self.errors:
                message += f"\n  {error.pointer or '/'}: {error.detail} ({error.code})"
        return message + (f" [request {self.request_id}]" if self.request_id else "")

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait before the next try, or None when it says nothing."""
        return parse_retry_after(self.response.headers.get("retry-after"))


class BadRequestError(APIStatusError):
    """400: the request could not be read."""


class AuthenticationError(APIStatusError):
    """401: no API key, or one that is wrong, expired or revoked."""


class PermissionDeniedError(APIStatusError):
    """403: the key lacks a scope, or may not send from this domain."""


class NotFoundError(APIStatusError):
    """404: there is no such thing, or not for this key."""


class ConflictError(APIStatusError):
    """409: the resource's state does not allow it (a message that is already sent cannot be cancelled)."""


class PayloadTooLargeError(APIStatusError):
    """413: the message with its attachments is larger than allowed."""


class UnprocessableEntityError(APIStatusError):
    """422: fields need attention; `errors` names each one."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` says how long to wait."""


class InternalServerError(APIStatusError):
    """5xx: the server failed; the SDK has already tried again."""


class InvalidWebhookSignatureError(PenguinMailsError):
    """A webhook request that must not be trusted. `code` says why.

    missing_header, invalid_timestamp, timestamp_too_old, timestamp_too_new, invalid_signature (not one readable `v1`
    signature), signature_mismatch (made with another secret, or the body was changed) or invalid_body.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(response: httpx.Response) -> APIStatusError:
    """The error for an answer that is not 2xx; its body must have been read."""
    status = response.status_code
    kind = InternalServerError if status >= 500 else _BY_STATUS.get(status, APIStatusError)
    return kind(response)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 §10.2.3): a number of seconds or an HTTP date. None if unreadable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _field_errors(value: Any) -> list[FieldError]:
    if not isinstance(value, list):
        return []
    return [
        FieldError(_text(item.get("pointer")), _text(item.get("code")), _text(item.get("detail")))
        for item in value
        if isinstance(item, dict)
    ]
