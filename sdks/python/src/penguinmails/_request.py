"""The part of a call that does not touch the network: what is sent, what an answer means, whether to try again."""

from __future__ import annotations

import base64
import datetime
import enum
import json
import logging
import platform
import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar, cast
from urllib.parse import quote

import httpx

from penguinmails._errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    PenguinMailsError,
    parse_retry_after,
    status_error,
)
from penguinmails._generated import SPEC_VERSION
from penguinmails._logging import logger
from penguinmails._models import Model, decoder
from penguinmails._version import VERSION

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Primitive = str | int | float | bool | None

FIRST_DELAY, LONGEST_DELAY = 0.5, 8.0  # seconds before the first try again; doubles up to the second
LONGEST_RETRY_AFTER = 120.0  # seconds; a server that asks for more gets no retry, the caller gets the error
CONNECT_TIMEOUT = 5.0
RETRIED = frozenset((408, 429))
RETRIED_CONFLICT = "idempotency_key_in_use"  # the first try of this very request is still being worked on
USER_AGENT = (
    f"penguinmails-python/{VERSION} python/{platform.python_version()} {platform.system().lower() or 'unknown'}"
)
OPTION_NAMES = frozenset(("timeout", "max_retries", "extra_headers", "idempotency_key"))


class Omit:
    """The value of a parameter of an update that was not given: the field stays as it is."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "omit"


omit = Omit()


class RequestOptions(TypedDict, total=False):
    """What one call may decide for itself, as keywords of every method.

    `timeout` in seconds; `max_retries` after the first try; `extra_headers` win over everything but the API key.
    """

    timeout: float
    max_retries: int
    extra_headers: Mapping[str, str]


class IdempotentOptions(RequestOptions, total=False):
    """`idempotency_key`: the same key with the same request is carried out once, for 24 hours.

    Left out, one is made up, and kept over all tries."""

    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One operation of the API: how to ask and how to read each successful status."""

    name: str
    method: str
    path: str
    replies: Mapping[int, Callable[[httpx.Response], T_co]]
    idempotent: bool = False


class RawResponse(Generic[T_co]):
    """An answer with its HTTP side: `status_code`, `headers`, `request_id`, `http_response`; `parse()` gives what the
    method would have given."""

    def __init__(self, response: httpx.Response, parsed: T_co) -> None:
        self.http_response = response
        self._parsed = parsed

    @property
    def status_code(self) -> int:
        return self.http_response.status_code

    @property
    def headers(self) -> httpx.Headers:
        return self.http_response.headers

    @property
    def request_id(self) -> str | None:
        value: str | None = self.http_response.headers.get("request-id")
        return value

    def parse(self) -> T_co:
        return self._parsed

    def __repr__(self) -> str:
        return f"RawResponse({self.status_code}, {self._parsed!r})"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client was made with."""

    base_url: str
    timeout: float
    max_retries: int
    headers: Mapping[str, str]


class Call(Generic[T]):
    """One call of one operation, over all its tries."""

    def __init__(
        self,
        settings: Settings,
        operation: Operation[T],
        *,
        path: Mapping[str, str],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> None:
        unknown = set(options) - OPTION_NAMES - {"_raw"}
        if not operation.idempotent:
            unknown |= set(options) & {"idempotency_key"}
        if unknown:
            raise TypeError(f"{operation.name}() got an unexpected keyword argument {sorted(unknown)[0]!r}")
        self.operation = operation
        self.method = operation.method
        self.url = settings.base_url + _expand(operation.path, path)
        self.params = httpx.QueryParams(_query(query))
        self.content = None if body is None else _encode(body)
        self.raw = bool(options.get("_raw"))
        seconds = options.get("timeout") or settings.timeout
        # The pool may wait: a thousand sends at once take their turns, which is no fault of the server's.
        self.timeout = httpx.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT), pool=None)
        self.max_retries = options.get("max_retries", settings.max_retries)
        self.attempt = 0
        self._headers = self._static_headers(settings, options)

    def _static_headers(self, settings: Settings, options: Mapping[str, Any]) -> dict[str, str]:
        headers = {"accept": "application/json, */*", "user-agent": USER_AGENT, "penguinmails-version": SPEC_VERSION}
        if self.content is not None:
            headers["content-type"] = "application/json"
        for more in (settings.headers, options.get("extra_headers") or {}):
            headers.update({name.lower(): value for name, value in more.items()})
        if self.operation.idempotent:
            headers.setdefault("idempotency-key", f"auto_{uuid.uuid4()}")
            if options.get("idempotency_key") is not None:
                headers["idempotency-key"] = options["idempotency_key"]
        return headers

    def headers(self, api_key: str) -> dict[str, str]:
        """The headers of the next try."""
        return {
            **self._headers,
            "authorization": f"Bearer {check_key(api_key)}",
            "penguinmails-retry-count": str(self.attempt),
        }

    def after_failure(self, error: httpx.RequestError) -> float:
        """Seconds to wait before trying again. Raises our own error when there is no try left."""
        kind = type(error).__name__
        logger.info("%s %s failed: %s (try %d)", self.method, self.operation.path, kind, self.attempt + 1)
        retriable = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)
        if retriable and self.attempt < self.max_retries:
            self.attempt += 1
            return backoff(self.attempt)
        tries = f" ({self.attempt + 1} tries)" if self.attempt else ""
        if isinstance(error, httpx.TimeoutException):
            raise APITimeoutError(f"no answer from {self._server} in time{tries}: {kind}") from error
        raise APIConnectionError(f"no answer from {self._server}{tries}: {kind}: {error}") from error

    def after_answer(self, response: httpx.Response) -> float | None:
        """None when the answer is a success, else seconds to wait before trying again. Raises the error to report."""
        status = response.status_code
        request_id = response.headers.get("request-id")
        logger.info("%s %s -> %d (%s, try %d)", self.method, self.operation.path, status, request_id, self.attempt + 1)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("sent %.2000r to %s, got %.2000r", self.content, response.url, response.text)
        if 200 <= status < 300:
            return None
        error = status_error(response)
        delay = self._delay(error)
        if delay is None:
            raise error
        self.attempt += 1
        return delay

    def _delay(self, error: APIStatusError) -> float | None:
        conflict = error.status_code == 409 and error.code == RETRIED_CONFLICT
        if not (error.status_code in RETRIED or error.status_code >= 500 or conflict):
            return None
        if self.attempt >= self.max_retries:
            return None
        asked = parse_retry_after(error.response.headers.get("retry-after"))
        if asked is None:
            return backoff(self.attempt + 1)
        return asked if asked <= LONGEST_RETRY_AFTER else None

    def read(self, response: httpx.Response) -> T:
        """The successful answer as an object. Raises `APIResponseError` when it cannot be read."""
        replies = self.operation.replies
        read = replies.get(response.status_code) or next(iter(replies.values()))
        try:
            return read(response)
        except ValueError as error:  # of JSON, of text in a wrong charset, of a DecodeError
            kind = response.headers.get("content-type", "no content type")
            message = f"{self.operation.name}: the answer ({response.status_code}, {kind}) cannot be read: {error}"
            raise APIResponseError(message, response) from error

    @property
    def _server(self) -> str:
        url = httpx.URL(self.url)
        return f"{url.scheme}://{url.netloc.decode()}"


def backoff(attempt: int) -> float:
    """Seconds before try number `attempt` (from 1) after the first: 0.5, 1, 2, 4, 8, 8 ..., less up to a quarter."""
    return float(min(FIRST_DELAY * 2 ** (attempt - 1), LONGEST_DELAY) * (1 - 0.25 * random.random()))


def check_key(value: str) -> str:
    """The key, fit for a header. Raises `PenguinMailsError`; the message does not hold it."""
    key = value.strip() if isinstance(value, str) else ""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise PenguinMailsError("the API key is not usable: it is one word such as pm_live_...")
    return key


def check_base_url(value: str) -> str:
    """The URL without a final slash. Raises `PenguinMailsError` for anything but http(s)://host[:port][/path]."""
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, TypeError) as error:
        raise PenguinMailsError(f"base_url {value!r} is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
        raise PenguinMailsError(f"base_url is http(s)://host[:port][/path], not {value!r}")
    return value.rstrip("/")


def json_of(model: type[T]) -> Callable[[httpx.Response], T]:
    """Reads an answer that holds one model."""
    read: Callable[[Any], T] = cast(Any, model).from_dict
    return lambda response: read(response.json())


def variant_of(union: Any) -> Callable[[httpx.Response], Any]:
    """Reads an answer that holds one variant of a union."""
    return lambda response: decoder(union)(response.json())


def nothing(_: httpx.Response) -> None:
    """Reads an answer without a body."""


def text(response: httpx.Response) -> str:
    return response.text


def content(response: httpx.Response) -> bytes:
    return response.content


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left out. Defaults are the server's business and are never sent."""
    return {name: value for name, value in values.items() if value is not None and not isinstance(value, Omit)}


def changed(values: Mapping[str, Any]) -> dict[str, Any]:
    """For updates: without what was left out, but with None, which clears a field."""
    return {name: value for name, value in values.items() if not isinstance(value, Omit)}


def _expand(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        # An empty or dotted segment would be another URL: `get("")` would ask for the list.
        if not isinstance(value, str) or value in ("", ".", ".."):
            raise ValueError(f"{name} is an id such as msg_01h..., not {value!r}")
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    return template


def _query(values: Mapping[str, Any]) -> list[tuple[str, Primitive]]:
    pairs: list[tuple[str, Primitive]] = []
    for name, value in given(values).items():
        items = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        pairs.extend((name, _query_text(plain(item, name))) for item in items)
    return pairs


def _query_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _encode(body: Mapping[str, Any]) -> bytes:
    document = plain(body, "")
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def plain(value: Any, place: str) -> Any:
    """A value as JSON has it: bytes become base64, dates RFC 3339. `place` is for messages.

    Raises `ValueError` for a datetime without a timezone, `TypeError` for what JSON cannot hold.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, place)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError(f"{place}: give a datetime with a timezone, such as datetime.now(timezone.utc)")
        return value.isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item, f"{place}.{key}" if place else str(key)) for key, item in given_items(value)}
    if isinstance(value, Iterable):
        return [plain(item, f"{place}.{index}") for index, item in enumerate(value)]
    raise TypeError(f"{place}: a {type(value).__name__} cannot be sent as JSON")


def given_items(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, item) for key, item in value.items() if not isinstance(item, Omit)]
