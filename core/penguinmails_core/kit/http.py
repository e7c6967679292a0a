"""The one way out: an HTTP client that cannot be talked into calling the inside (DESIGN, "Safety").

A name is resolved, every address is checked, and connections are made to checked addresses only; the address is checked
again at the last instruction before the connection, and the peer's right after (DNS rebinding). Redirects are not
followed, proxies and cookies not used, answers not decompressed, and of an endless answer only the first `max_response`
bytes are read.

Its parts: `http_guard` (where to), `http_dns`, `http_connection`, `http_tls`, `http_pool`, `http_message` (bytes),
`http_trace` (timings).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from penguinmails_core.kit.dns import SystemResolver
from penguinmails_core.kit.http_connection import Connection, connect
from penguinmails_core.kit.http_dns import AddressCache, AddressResolver
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
    check_url,
    display_url,
    parse_url,
)
from penguinmails_core.kit.http_message import Headers, ResponseReader, request_bytes
from penguinmails_core.kit.http_pool import Pool
from penguinmails_core.kit.http_tls import ClientCertificate, Tls, TlsContexts
from penguinmails_core.kit.http_trace import Progress, Timings, since

__all__ = [
    "BrokenResponse",
    "ClientCertificate",
    "ConnectFailed",
    "DnsFailed",
    "ForbiddenAddress",
    "Headers",
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


@dataclass(slots=True)
class HttpResult:
    """An answer, whatever its status. `headers` ignore case; `body` is cut at the client's limit, see `truncated`.

    `reused`: over a connection that had been open. `tls_version`: as "TLSv1.3"; None for plain HTTP. `tls_resumed`: the
    connection started from a session of an earlier one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    duration_ms: int
    timings: Timings
    remote_address: str | None
    reused: bool
    tls_version: str | None
    tls_resumed: bool


@dataclass(slots=True)
class _Exchange:
    """One request on its way. `key`: whose connections may carry it."""

    target: Target
    data: bytes
    certificate: ClientCertificate | None
    key: tuple[str, ClientCertificate | None]
    deadline: float
    bodyless: bool
    progress: Progress


class OutgoingHttp:
    """SSRF-safe HTTP client with a pool of kept-alive connections. Use one for a whole process, and `close` it.

    `allow_private`: loopback and private networks, plain http and local names may be called (demo, sandbox, tests).
    `timeout`: seconds for a whole exchange: DNS, connection, TLS, request and answer. `connect_timeout`: of these, at
    most so many until the TCP connection stands.
    `max_response`: bytes of an answer's body that are read.
    `resolver`: DNS; the system's name servers by default. `trust`: makes the TLS context that says whom to trust, by
    default with the system's roots; it is called once for each client certificate.
    `limit`, `limit_per_host`: connections at once, in all and to one host and port; further requests wait.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout: float = 15.0,
        connect_timeout: float = 10.0,
        max_response: int = 65536,
        resolver: AddressResolver | None = None,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        limit: int = 1000,
        limit_per_host: int = 64,
        user_agent: str = "PenguinMails/1",
    ) -> None:
        self._allow_private = allow_private
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._max_response = max_response
        self._dns = AddressCache(resolver or SystemResolver(), allow_private=allow_private)
        self._tls = TlsContexts(trust)
        self._limit, self._limit_per_host = limit, limit_per_host
        self._base = f"User-Agent: {user_agent}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        self._pool: Pool | None = None
        self._opening: set[asyncio.Timeout] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; requests under way fail with `ConnectFailed` or `BrokenResponse`."""
        pool, self._pool = self._pool, None
        await self._dns.close()
        if pool is not None:
            for limit in self._opening:
                with suppress(RuntimeError):  # it is over anyway
                    limit.reschedule(0)
            await pool.close()

    @property
    def connections(self) -> int:
        """How many are open, used or kept."""
        return self._pool.open if self._pool is not None else 0

    def check_url(self, url: str) -> None:
        """Raises `OutgoingError` when `url` could never be called (see `http_guard.check_url`)."""
        check_url(url, allow_private=self._allow_private)

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        certificate: ClientCertificate | None = None,
    ) -> HttpResult:
        """POSTs `body`; see `request`."""
        return await self.request(
            "POST", url, body=body, headers=headers, repeatable=repeatable, certificate=certificate
        )

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
        certificate: ClientCertificate | None = None,
    ) -> HttpResult:
        """One exchange; a redirect is returned like any other answer.

        `repeatable`: the receiver copes with the same request twice (webhooks do, by `webhook-id`). A kept-alive
        connection that turns out to be closed is then replaced once instead of raising `BrokenResponse`.
        `certificate`: shown when the receiver asks who calls; connections are never shared between certificates.

        Raises a subclass of `OutgoingError`: InvalidUrl, InvalidRequest, ForbiddenAddress, DnsFailed, ConnectFailed,
        TlsFailed, TimedOut or BrokenResponse. Its `timings` tell how far it came.
        """
        target = parse_url(url, allow_private=self._allow_private)
        exchange = _Exchange(
            target,
            request_bytes(method, target.path, target.authority, self._base, headers, body),
            certificate,
            (target.origin, certificate),
            asyncio.get_running_loop().time() + self._timeout,
            method == "HEAD",
            Progress(),
        )
        try:
            return await self._send(exchange, repeatable)
        except OutgoingError as error:
            progress = exchange.progress
            if isinstance(error, TimedOut):
                error = TimedOut(f"no complete answer within {self._timeout:g} s ({progress.stage})")
            error.timings, error.remote_address = progress.timings(), progress.remote_address
            raise error from None

    async def _send(self, exchange: _Exchange, repeatable: bool) -> HttpResult:
        pool = self._pool
        if pool is None:  # made at the first request, as it belongs to the running event loop
            pool = self._pool = Pool(self._limit, self._limit_per_host)
        target = exchange.target
        connection = pool.take(exchange.key, None if target.literal else self._dns.known(target.host))
        if connection is not None:
            exchange.progress.reused = True
        else:
            connection = await self._get(pool, exchange, fresh=False)
        reader = ResponseReader(self._max_response, bodyless=exchange.bodyless)
        try:
            return await self._exchange(pool, connection, exchange, reader)
        except BrokenResponse:
            if reader.started or not (repeatable and exchange.progress.reused):
                raise
        exchange.progress.reused = False
        connection = await self._get(pool, exchange, fresh=True)
        reader = ResponseReader(self._max_response, bodyless=exchange.bodyless)
        return await self._exchange(pool, connection, exchange, reader)

    async def _exchange(
        self, pool: Pool, connection: Connection, exchange: _Exchange, reader: ResponseReader
    ) -> HttpResult:
        progress = exchange.progress
        progress.remote_address = connection.address
        await connection.exchange(exchange.data, reader, progress, exchange.deadline)
        timings = progress.timings()
        tls = connection.tls
        if tls is not None and not progress.reused:
            tls.remember()
        if reader.reusable:
            pool.release(connection, reader.idle_seconds)
        else:
            connection.close()
        return HttpResult(
            reader.status,
            reader.headers,
            reader.body,
            reader.truncated,
            round(timings.total_ms),
            timings,
            connection.address,
            progress.reused,
            tls.version if tls is not None else None,
            tls.resumed if tls is not None else False,
        )

    async def _get(self, pool: Pool, exchange: _Exchange, *, fresh: bool) -> Connection:
        """A connection that carries nothing; unless `fresh`, one that has become free meanwhile will do."""
        target, progress = exchange.target, exchange.progress
        try:
            async with asyncio.timeout_at(exchange.deadline) as limit:
                self._opening.add(limit)
                try:
                    addresses = await self._resolve(target, progress)
                    connection = await pool.place(exchange.key, () if fresh else addresses)
                    if connection is not None:
                        progress.reused = True
                        return connection
                    return await self._open(pool, exchange, addresses)
                finally:
                    self._opening.discard(limit)
        except TimeoutError:
            if pool.closed:
                raise ConnectFailed("the request was given up: this process is ending") from None
            raise TimedOut(progress.stage) from None

    async def _resolve(self, target: Target, progress: Progress) -> tuple[str, ...]:
        if target.literal:
            return (target.host,)
        known = self._dns.known(target.host)
        if known:
            return known
        progress.stage = "resolving the host"
        started = time.perf_counter()
        try:
            addresses = await self._dns.resolve(target.host)
        finally:
            progress.dns = since(started)
        progress.stage = "waiting for a connection"
        return addresses

    async def _open(self, pool: Pool, exchange: _Exchange, addresses: tuple[str, ...]) -> Connection:
        """Uses the place that the pool gave, or gives it back."""
        connection: Connection | None = None
        try:
            tls = await self._new_tls(exchange) if exchange.target.tls else None
            opened = await self._connect(exchange, addresses)
            connection = Connection(pool, exchange.key, opened.getpeername()[0], tls)
            await connection.adopt(opened)
            if tls is not None:
                await self._start_tls(connection, exchange.progress)
            if pool.closed:
                raise ConnectFailed("the request was given up: this process is ending")
            return connection
        except BaseException:
            if connection is None or not connection.disown():
                pool.give_up(exchange.key)
            raise

    async def _connect(self, exchange: _Exchange, addresses: tuple[str, ...]) -> socket.socket:
        progress = exchange.progress
        progress.stage, started = "connecting", time.perf_counter()
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await connect(addresses, exchange.target.port, allow_private=self._allow_private)
        except TimeoutError:
            raise ConnectFailed(f"no connection within {self._connect_timeout:g} s") from None
        finally:
            progress.connect = since(started)

    async def _new_tls(self, exchange: _Exchange) -> Tls:
        context = await self._tls.get(exchange.certificate)
        return context.open(exchange.target.origin, exchange.target.host)

    async def _start_tls(self, connection: Connection, progress: Progress) -> None:
        progress.stage, progress.remote_address = "agreeing on TLS", connection.address
        started = time.perf_counter()
        try:
            await connection.start_tls()
        finally:
            progress.tls = since(started)
