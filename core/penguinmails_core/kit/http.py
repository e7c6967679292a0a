"""The one way out: an HTTP client that cannot be talked into calling the inside (DESIGN, "Safety").

A name is resolved once for each new connection, every address is checked, and the connection is made to a checked
address; there is no second look-up that could answer differently (DNS rebinding). The socket factory checks the address
again, at the last instruction before the connection. Redirects are not followed, proxies and cookies not used, answers
not decompressed, and of an endless answer only the first `max_response` bytes are read.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from multidict import CIMultiDict

from penguinmails_core.kit.dns import DnsError, SystemResolver
from penguinmails_core.kit.http_guard import (
    BrokenResponse,
    ConnectFailed,
    DnsFailed,
    ForbiddenAddress,
    InvalidRequest,
    InvalidUrl,
    OutgoingError,
    Target,
    TimedOut,
    TlsFailed,
    check_address,
    check_url,
    display_url,
    parse_url,
)
from penguinmails_core.kit.http_trace import TRACING, Progress

__all__ = [
    "BrokenResponse",
    "ConnectFailed",
    "DnsFailed",
    "ForbiddenAddress",
    "HttpResult",
    "InvalidRequest",
    "InvalidUrl",
    "OutgoingError",
    "OutgoingHttp",
    "TimedOut",
    "Timings",
    "TlsFailed",
    "check_url",
    "display_url",
]

# Node and uvicorn close an idle connection after 5 s. Ours close earlier, so that a request seldom meets a closed one.
_KEEPALIVE = 4.0
# These frame the request or steer the connection; a caller that could set them could smuggle a second request.
_RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 §5.6.2)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class AddressResolver(Protocol):
    """The part of `kit.dns.Resolver` that this client needs."""

    async def addresses(self, host: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds; None for what did not happen, as on a kept-alive connection. `connect` includes TLS."""

    dns: float | None
    connect: float | None
    first_byte: float


@dataclass(frozen=True, slots=True)
class HttpResult:
    """An answer, whatever its status. `headers` ignore case; `body` is cut at the client's limit, see `truncated`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    duration_ms: int
    timings: Timings
    remote_address: str | None


class OutgoingHttp:
    """SSRF-safe HTTP client with a pool of kept-alive connections. Use one for a whole process, and `close` it.

    `allow_private`: loopback and private networks, plain http and local names may be called (demo, sandbox, tests).
    `timeout`: seconds for a whole exchange: DNS, connection, TLS, request and answer.
    `max_response`: bytes of an answer's body that are read.
    `resolver`: DNS; the system's name servers by default. `ssl_context`: whom to trust; the system's store by default.
    `limit_per_host`: connections at once to one host and port.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout: float = 15.0,
        max_response: int = 65536,
        resolver: AddressResolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        limit: int = 1000,
        limit_per_host: int = 64,
        user_agent: str = "PenguinMails/1",
    ) -> None:
        self._allow_private = allow_private
        self._timeout = timeout
        self._max_response = max_response
        self._resolver = _CheckedResolver(resolver or SystemResolver(), allow_private)
        self._ssl = ssl_context or ssl.create_default_context()
        self._limit, self._limit_per_host = limit, limit_per_host
        self._base_headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; requests under way fail with `ConnectFailed` or `BrokenResponse`."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def check_url(self, url: str) -> None:
        """Raises `OutgoingError` when `url` could never be called (see `http_guard.check_url`)."""
        check_url(url, allow_private=self._allow_private)

    async def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str] | None = None, repeatable: bool = False
    ) -> HttpResult:
        """POSTs `body`; see `request`."""
        return await self.request("POST", url, body=body, headers=headers, repeatable=repeatable)

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> HttpResult:
        """GETs `url`; see `request`."""
        return await self.request("GET", url, headers=headers, repeatable=True)

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> HttpResult:
        """One exchange; a redirect is returned like any other answer.

        `repeatable`: the receiver copes with the same request twice (webhooks do, by `webhook-id`). A kept-alive
        connection that turns out to be closed is then replaced once instead of raising `BrokenResponse`.

        Raises a subclass of `OutgoingError`: InvalidUrl, InvalidRequest, ForbiddenAddress, DnsFailed, ConnectFailed,
        TlsFailed, TimedOut or BrokenResponse.
        """
        target = parse_url(url, allow_private=self._allow_private)
        sent = self._headers(headers)
        progress = Progress()
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    return await self._exchange(method, target, body, sent, progress)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    stale = progress.reused and not isinstance(error, aiohttp.ClientConnectorError)
                    if not (repeatable and stale):
                        raise
                progress.reused = False
                return await self._exchange(method, target, body, sent, progress)
        except TimeoutError:
            raise TimedOut(f"no complete answer within {self._timeout:g} s ({progress.stage})") from None
        except aiohttp.ClientError as error:
            raise _translate(error) from error

    async def _exchange(
        self, method: str, target: Target, body: bytes | None, headers: CIMultiDict[str], progress: Progress
    ) -> HttpResult:
        started = time.perf_counter()
        async with self._client().request(
            method, target.url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=progress
        ) as response:
            assert isinstance(response, _Response)
            first_byte = time.perf_counter()
            progress.stage = "reading the answer"
            content, truncated = await _read(response, self._max_response)
        return HttpResult(
            status=response.status,
            headers=response.headers,
            body=content,
            truncated=truncated,
            duration_ms=round((time.perf_counter() - started) * 1000),
            timings=Timings(progress.dns, progress.connect, (first_byte - started) * 1000),
            remote_address=response.peer,
        )

    def _headers(self, headers: Mapping[str, str] | None) -> CIMultiDict[str]:
        sent = CIMultiDict(self._base_headers)
        for name, value in (headers or {}).items():
            if name.lower() in _RESERVED_HEADERS:
                raise InvalidRequest(f"the header {name} is set by the connection and cannot be given")
            if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
                raise InvalidRequest("a header has a name of letters, digits and hyphens, and no control characters")
            sent[name] = value
        return sent

    def _client(self) -> aiohttp.ClientSession:
        """Made at the first request, as aiohttp binds it to the running event loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                ssl=self._ssl,
                limit=self._limit,
                limit_per_host=self._limit_per_host,
                keepalive_timeout=_KEEPALIVE,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # one deadline for all, in `request`
                response_class=_Response,
                trace_configs=[TRACING],
            )
        return self._session

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        check_address(address[0], allow_private=self._allow_private)
        return socket.socket(family, kind, protocol)


class _CheckedResolver(AbstractResolver):
    """aiohttp's resolver: our DNS, and only addresses that may be called. All of them must be: a name that points
    both outside and inside is an attack or a mistake."""

    def __init__(self, resolver: AddressResolver, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host == "localhost" or host.endswith(".localhost"):
            addresses = ["127.0.0.1", "::1"]  # RFC 6761 §6.3: never asked of DNS
        else:
            try:
                addresses = await self._resolver.addresses(host)
            except DnsError as error:
                raise DnsFailed(f"{host} cannot be resolved: {error.reason}") from error
        if not addresses:
            raise DnsFailed(f"{host} has no address")
        for address in addresses:
            check_address(address, allow_private=self._allow_private)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close: the resolver belongs to the caller."""


class _Response(aiohttp.ClientResponse):
    """Remembers who answered: the connection is already back in the pool when a short answer has been read."""

    peer: str | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        peer = connection.transport.get_extra_info("peername") if connection.transport is not None else None
        self.peer = peer[0] if peer else None
        return await super().start(connection)


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """(at most `most` bytes, whether there was more). A longer answer costs the connection: the rest is not read."""
    chunks: list[bytes] = []
    left = most
    while left:
        chunk = await response.content.read(left)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
        left -= len(chunk)
    truncated = not response.content.at_eof()
    if truncated:
        response.close()
    return b"".join(chunks), truncated


def _translate(error: aiohttp.ClientError) -> OutgoingError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        problem = getattr(error.certificate_error, "verify_message", "") or "it does not verify"
        return TlsFailed(f"the certificate is not trusted: {problem}")
    if isinstance(error, aiohttp.ClientSSLError):
        return TlsFailed("no TLS connection could be made")
    if isinstance(error, aiohttp.ClientConnectorError):
        # Not the error's own text: it lists the addresses, which the owner of a name need not learn.
        known = {errno.ECONNREFUSED: "refused", errno.ENETUNREACH: "no route", errno.EHOSTUNREACH: "no route"}
        return ConnectFailed(f"no connection: {known.get(error.os_error.errno or 0, 'unreachable')}")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return BrokenResponse("the connection was closed before an answer came")
    if isinstance(error, aiohttp.ClientOSError):
        return BrokenResponse("the connection broke")
    if isinstance(error, aiohttp.ClientPayloadError):
        return BrokenResponse("the answer ended early")
    if isinstance(error, aiohttp.ClientResponseError):
        return BrokenResponse("the answer is not readable HTTP")
    if isinstance(error, aiohttp.InvalidURL):
        return InvalidUrl("the URL cannot be called")
    return ConnectFailed("the request could not be made")
