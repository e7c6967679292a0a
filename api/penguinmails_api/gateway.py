"""The outermost ASGI callable: identity, limits and headers of every request, then whoever answers it.

Hot: every accepted message passes here, so it is one function deep, looks at each header once and costs tens of
microseconds. Routes in `hot` are answered from bytes to bytes; all others go to the FastAPI application. Nothing else
wraps the application: a `BaseHTTPMiddleware` alone would cost more than all of this.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from penguinmails_api.context import Headers, RequestContext
from penguinmails_api.exceptions import as_problem, invalid_json, route_template
from penguinmails_api.identity import browser, csrf
from penguinmails_api.identity.bearer import bearer_of
from penguinmails_api.rate_limits.route_index import RouteFacts, RouteIndex
from penguinmails_api.responses import RAW, RawResponse, problem_response
from penguinmails_api.services import Services
from penguinmails_api.version import VERSION
from penguinmails_core.api_keys.authenticator import Credential, CredentialSource
from penguinmails_core.audit.actor import ORIGIN
from penguinmails_core.errors import (
    BadRequest,
    KeyInQuery,
    PayloadTooLarge,
    Problem,
    Unauthenticated,
    UnsupportedMediaType,
)
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import PrincipalKind

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[RequestContext, Scope, Receive], Awaitable[RawResponse]]
AccessLog = Callable[[RequestContext, Scope, int, float], None]

MAX_BODY_BYTES = 256 * 1024  # of routes that do not say otherwise
MAX_HOST_BYTES = 255

_KEY_PARAMETERS = frozenset((b"api_key", b"apikey", b"api-key", b"access_token", b"authorization", b"token"))
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_GUARDED = ("/v1/", "/v2/", "/graphql")  # where nobody comes in without a principal, and bodies are JSON
_EVERY_ANSWER: Headers = [
    (b"penguinmails-version", VERSION.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
INBOUND = "/inbound/"  # webhooks of others; the rest of the path is what their URL is worth
OAUTH = "/oauth2/"  # no cookie counts there, except for the consent page, which checks for itself
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="PenguinMails"'}


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A handler that is called without a framework. It reads its own body (`read_body`), charges the caller's limits
    when it knows the price (`ctx.services.admission.charge`) and may raise any `Problem`."""

    handler: Handler
    max_body_bytes: int = MAX_BODY_BYTES


@dataclass(slots=True)
class _Incoming:
    """The headers that the gateway cares about."""

    authorization: bytes | None = None
    content_type: bytes | None = None
    content_length: int | None = None
    chunked: bool = False
    host: bytes | None = None
    cookie: bytes | None = None


class Gateway:
    """`app` answers what is not in `hot`: (method, path) -> route."""

    def __init__(
        self,
        app: App,
        services: Services,
        hot: Mapping[tuple[str, str], HotRoute] | None = None,
        *,
        access_log: AccessLog | None = None,
    ) -> None:
        self.app = app
        self.services = services
        self._hot = dict(hot or {})
        self._index = RouteIndex(getattr(app, "routes", ()))
        self._hot_facts = {route: self._index.find(*route) for route in self._hot}
        self._access_log = access_log
        self._max_inbound = services.settings.inbound.max_body_bytes
        self._client_address = services.addresses.of
        self._log = services.request_log.add if services.request_log.enabled else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _decline(scope, receive, send)
            return
        started = time.perf_counter()
        ctx = RequestContext(ids.encode(Prefix.REQUEST, ids.new_uuid()), self.services, started, scope)
        answer = _Answer(ctx, scope, send)
        method, path = scope["method"], scope["path"]
        hot = self._hot.get((method, path))
        try:
            guarded = path.startswith(_GUARDED)
            if scope["query_string"]:
                _refuse_key_in_query(scope, guarded)
            incoming = _read_headers(scope)
            if incoming.cookie is not None and incoming.authorization is None and not path.startswith(OAUTH):
                csrf.check(scope, self.services.public)
            if guarded:
                await self._admit(ctx, scope, incoming, late=hot is not None)
            else:
                await self.services.admission.admit_public(ctx, self._facts(scope), self._client_address(scope))
            if method in _WITH_BODY:
                limit = hot.max_body_bytes if hot is not None else self._limit_of(path)
                receive = _check_body(incoming, receive, limit, json_only=guarded)
            if hot is not None:
                response = await hot.handler(ctx, scope, receive)
                if not ctx.cost:
                    await self.services.admission.charge(ctx)
                await answer.send_raw(response)
            else:
                scope["state"] = {"context": ctx, "client_address": self._client_address(scope)}
                token = ORIGIN.set(ctx)  # for the audit log, however deep the change is made
                try:
                    await self.app(scope, receive, answer.send)
                finally:
                    ORIGIN.reset(token)
        except Exception as error:
            if answer.status:  # too late to say anything; the server ends the connection
                log.exception("%s %s broke off", method, self.route_of(scope), extra={"request_id": ctx.request_id})
                raise
            error = await self.services.admission.charge_error(ctx, error)
            await answer.send_raw(self._problem(error, ctx, scope))
        seconds = time.perf_counter() - started if ctx.streaming_after is None else ctx.streaming_after
        if ctx.principal is not None:
            cost = 0 if ctx.refused else ctx.cost
            self.services.usage.add(ctx.principal, ctx.operation, cost, answer.status)
        route = self.route_of(scope)
        self.services.metrics.observe(method, route, answer.status, seconds)
        if self._log is not None and ctx.principal is not None:
            self._log(ctx, method, route, answer.status, seconds)
        if self._access_log is not None:
            self._access_log(ctx, scope, answer.status, seconds)

    def _problem(self, error: Exception, ctx: RequestContext, scope: Scope) -> RawResponse:
        """Every guarded answer tells limits, those to requests that were refused before their key was read too."""
        if not ctx.limit_headers and scope["path"].startswith(_GUARDED):
            ctx.limit_headers = self.services.failures.look(self._client_address(scope))
        problem = as_problem(error, ctx, scope, self.route_of(scope))
        ctx.error_code = problem.code
        if "WWW-Authenticate" in problem.headers:  # where a client learns whom to ask for a token (RFC 9728 §5.1)
            problem.headers["WWW-Authenticate"] += f', resource_metadata="{self.services.oauth.resource_metadata}"'
        return problem_response(problem, ctx.request_id)

    def route_of(self, scope: Scope) -> str:
        """The template of the route that answered, once it has."""
        path: str = scope["path"]
        return path if (scope["method"], path) in self._hot else route_template(scope)

    def _limit_of(self, path: str) -> int:
        return self._max_inbound if path.startswith(INBOUND) else MAX_BODY_BYTES

    def _facts(self, scope: Scope) -> RouteFacts:
        route = (scope["method"], scope["path"])
        return self._hot_facts.get(route) or self._index.find(*route)

    async def _admit(self, ctx: RequestContext, scope: Scope, incoming: _Incoming, *, late: bool) -> None:
        """Who asks, from where, and how often. Raises the problem to answer with. `late`: the handler charges."""
        key = bearer_of(incoming.authorization)
        source = self.services.source_of(key)
        credential = source.cached(key) if key is not None else None
        if credential is None and incoming.cookie is not None and incoming.authorization is None:
            ctx.session = await browser.session_of(self.services, incoming.cookie)
        if ctx.session is not None:
            principal = await browser.principal_of(self.services, ctx.session)
        else:
            if credential is None:
                credential = await self._identify(ctx, scope, key, source)
            principal = credential.check()
            if credential.networks:
                credential.check_address(self._client_address(scope))
            if principal.kind is PrincipalKind.OAUTH:
                await self.services.oauth.check_proof(credential, scope, incoming.authorization or b"")
        ctx.principal = principal
        if principal.kind is PrincipalKind.API_KEY:
            self.services.authenticator.seen(principal, self._client_address(scope))
        facts, admission = self._facts(scope), self.services.admission
        ctx.operation = facts.operation
        address = self._client_address(scope) if admission.by_address or facts.limits else ""
        await admission.bind(ctx, principal, facts, address)
        if late:
            admission.refuse_at_once(ctx)
        else:
            await admission.charge(ctx, facts.cost)

    async def _identify(
        self, ctx: RequestContext, scope: Scope, key: str | None, source: CredentialSource
    ) -> Credential:
        """The slow way to a credential. Failures are counted by address: a client with a wrong key in a loop is told
        to slow down before it costs a look-up per request."""
        failures = self.services.failures
        address = self._client_address(scope)
        if key is None or not source.known(key):
            ctx.limit_headers = failures.check(address)
        try:
            if key is None:
                raise Unauthenticated(
                    "Send an API key as `Authorization: Bearer pm_live_...` (or pm_test_...).", headers=_CHALLENGE
                )
            return await source.find(key)
        except Unauthenticated:
            ctx.limit_headers = failures.count(address)
            raise


class _Answer:
    """Sends one answer and adds what every answer carries."""

    __slots__ = ("_ctx", "_raw", "_send", "status")

    def __init__(self, ctx: RequestContext, scope: Scope, send: Send) -> None:
        self._ctx = ctx
        # HEAD has no body to write with the head; it takes the ordinary way.
        self._raw = scope["method"] != "HEAD" and RAW in scope.get("extensions", ())
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        """For the application: an ASGI `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in self._common() if pair[0] not in own)]
        await self._send(message)

    async def send_raw(self, response: RawResponse) -> None:
        self.status = response.status
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % len(response.body)),
            *response.headers,
            *self._common(),
        ]
        if self._raw:
            await self._send({"type": RAW, "status": response.status, "headers": headers, "body": response.body})
            return
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})

    def _common(self) -> Headers:
        ctx = self._ctx
        return [(b"request-id", ctx.request_id.encode()), *ctx.limit_headers, *ctx.answer_headers, *_EVERY_ANSWER]


async def read_body(receive: Receive) -> bytes:
    """The whole body; the gateway has bounded it. Raises `BadRequest` when the client goes away in the middle."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body
    parts = []
    while True:
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection ended before the body was complete.")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def parse_json(body: bytes) -> Any:
    """Raises `InvalidJson` naming line and column."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_json(error.msg, error.lineno, error.colno) from None


def _read_headers(scope: Scope) -> _Incoming:
    """Raises `BadRequest` for headers that two readers could understand differently."""
    incoming = _Incoming()
    for name, value in scope["headers"]:
        if name == b"authorization":
            if incoming.authorization is not None:
                raise BadRequest("There are two Authorization headers. Send one.")
            incoming.authorization = value
        elif name == b"host":
            if incoming.host is not None:
                raise BadRequest("There are two Host headers. Send one.")
            incoming.host = value
        elif name == b"content-type":
            incoming.content_type = value
        elif name == b"content-length":
            if not value.isdigit() or len(value) > 15:
                raise BadRequest("Content-Length must be a number of at most 15 digits.")
            incoming.content_length = int(value)
        elif name == b"transfer-encoding":
            incoming.chunked = True
        elif name == b"cookie":  # HTTP/2 may bring several (RFC 9113 §8.2.3)
            incoming.cookie = value if incoming.cookie is None else incoming.cookie + b"; " + value
    host = incoming.host
    if not host or len(host) > MAX_HOST_BYTES or not host.isascii() or b"/" in host or b"@" in host or b" " in host:
        raise BadRequest("The Host header is missing or not a host name.")
    return incoming


def _refuse_key_in_query(scope: Scope, guarded: bool) -> None:
    """A key in a URL ends up in logs, histories and Referer headers. The query is blanked before anything else is
    looked at, so that no log of the server repeats it; pages go on without it (and may have a `token` of their own)."""
    query: bytes = scope["query_string"]
    plain = unquote_to_bytes(query) if b"%" in query else query
    names = {pair.partition(b"=")[0].lower() for pair in plain.split(b"&")} if guarded else set()
    if b"pm_live_" in plain or b"pm_test_" in plain or names & _KEY_PARAMETERS:
        scope["query_string"] = b"redacted"
        if not guarded:
            return
        raise KeyInQuery(
            "Send the API key in the Authorization header, never in the URL. "
            "If it was a real key, replace it: URLs are written to logs."
        )
    if guarded and b"\x00" in plain:
        raise BadRequest("The query string holds a NUL character. Remove %00.")


def _check_body(incoming: _Incoming, receive: Receive, limit: int, *, json_only: bool) -> Receive:
    """Refuses what is too large, or not JSON where nothing else is taken, before reading it; counts a body whose length
    was not announced."""
    length = incoming.content_length
    if length is None and not incoming.chunked:
        return receive
    if length is not None and length > limit:
        raise _too_large(limit)
    if json_only and length != 0 and not _is_json(incoming.content_type):
        sent = (incoming.content_type or b"nothing").decode("latin-1")
        raise UnsupportedMediaType(f"Send JSON with `Content-Type: application/json`; this request says {sent[:100]}.")
    return receive if length is not None else _counting(receive, limit)


def _is_json(content_type: bytes | None) -> bool:
    if content_type is None:
        return False
    return content_type == b"application/json" or content_type.partition(b";")[0].strip().lower() == b"application/json"


def _counting(receive: Receive, limit: int) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        if message["type"] == "http.request":
            total += len(message.get("body", b""))
            if total > limit:
                raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> Problem:
    return PayloadTooLarge(
        f"The body may have at most {limit} bytes here.", headers={"Connection": "close"}, extra={"limit": limit}
    )


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan is acknowledged (services are opened before the server starts); WebSockets are closed."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
