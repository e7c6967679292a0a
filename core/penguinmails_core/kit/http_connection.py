"""One connection to one checked address, with or without TLS, that carries one exchange at a time."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Protocol, cast

from penguinmails_core.kit.http_guard import (
    BrokenResponse,
    ConnectFailed,
    OutgoingError,
    TimedOut,
    TlsFailed,
    check_address,
)
from penguinmails_core.kit.http_message import ResponseReader
from penguinmails_core.kit.http_tls import Tls, late_tls_problem, tls_problem
from penguinmails_core.kit.http_trace import Progress

_NEXT_ADDRESS = 0.25  # seconds until the next address is tried beside the first (RFC 8305 §5)
_MOST_ADDRESSES = 8
_CONNECT_PROBLEMS = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "no route",
    errno.EHOSTUNREACH: "no route",
    errno.ETIMEDOUT: "no answer",
    errno.EMFILE: "this server has no free socket",
    errno.ENFILE: "this server has no free socket",
}


class Owner(Protocol):
    """Who counts connections."""

    def opened(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`address`: the peer's, checked. `tls`: not begun yet, or None for none. `idle_until`: until when it may wait for
    another request (loop time)."""

    __slots__ = (
        "_error",
        "_first_byte",
        "_fresh",
        "_owner",
        "_problem",
        "_reader",
        "_transport",
        "_waiter",
        "address",
        "closed",
        "idle_until",
        "key",
        "tls",
    )

    def __init__(self, owner: Owner, key: Hashable, address: str, tls: Tls | None) -> None:
        self._owner: Owner | None = owner
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._first_byte = 0.0
        self._fresh = True
        self._problem: OutgoingError | None = None  # what it failed of while nobody waited
        self.key = key
        self.address = address
        self.tls = tls
        self.idle_until = 0.0
        self.closed = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self._owner is None:
            self._transport.abort()
        else:
            self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        goodbye = False
        tls = self.tls
        if tls is not None:
            try:
                if not tls.ready:
                    self._go_on(tls, data)
                    return
                data, goodbye = tls.decrypt(data)
            except ssl.SSLError as error:
                self._fail(late_tls_problem(error))
                return
            if answer := tls.outgoing():
                self._write(answer)
        if data:
            self._read(data)
        if goodbye and not self.closed:
            self._end(None)

    def eof_received(self) -> None:
        self.closed = True  # the transport closes itself, and calls connection_lost

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)
        if self._owner is not None:
            self._owner.lost(self)

    # What its user calls.

    async def adopt(self, connected: socket.socket) -> None:
        """Takes over a socket; closes it when that fails."""
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, sock=connected)
        except OSError as error:
            connected.close()
            raise _connect_problem(error) from None
        except BaseException:
            connected.close()
            raise

    def disown(self) -> bool:
        """Closes it, at whatever point it is; False when the owner was never told of it and will not be.

        The owner is told at once: uvloop forgets to when a connection is given up in the moment that it stands.
        """
        owner, self._owner = self._owner, None
        self.abort()
        if self._transport is None or owner is None:
            return False
        owner.lost(self)
        return True

    async def start_tls(self) -> None:
        """Raises `TlsFailed`. The certificate is checked by OpenSSL, for the host that `tls` was made for."""
        assert self.tls is not None
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        if self.closed:  # it may have spoken first, and not have spoken TLS
            self._settle(self._problem or TlsFailed("the connection was closed during the TLS handshake"))
        else:
            self._go_on(self.tls, b"")
        try:
            await waiter
        finally:
            self._waiter = None

    async def exchange(self, request: bytes, reader: ResponseReader, progress: Progress, deadline: float) -> None:
        """Sends `request` and fills `reader`. `deadline` is loop time.

        Raises `BrokenResponse`, `TlsFailed` or `TimedOut`. However it ends other than well, the connection is closed:
        what may still come must not be taken for the answer to another request.
        """
        if self.closed:
            raise BrokenResponse("the connection was closed before an answer came")
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        self._reader, self._first_byte = reader, 0.0
        progress.stage, self._fresh = "waiting for the answer", not progress.reused
        timer = loop.call_at(deadline, self._expire)
        try:
            tls = self.tls
            self._write(request if tls is None else tls.encrypt(request))
            progress.sent = time.perf_counter()
            await waiter
        except ssl.SSLError as error:
            self.abort()
            raise late_tls_problem(error) from None
        except BaseException:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._reader = self._waiter = None
            progress.first_byte = self._first_byte
            if reader.status:
                progress.stage = "reading the answer"

    @property
    def usable(self) -> bool:
        """It may carry another request."""
        transport = self._transport
        return not (self.closed or transport is None or transport.is_closing() or transport.get_write_buffer_size())

    def close(self) -> None:
        """With a goodbye to a peer that can hear it; never waits."""
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size():  # a peer that does not read would keep it open for ever
            self.abort()
            return
        self.closed = True
        if self.tls is not None and self.tls.ready:
            self._write(self.tls.goodbye())
        transport.close()

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # Inside.

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if data and transport is not None and not transport.is_closing():  # uvloop does not forgive that
            transport.write(data)

    def _go_on(self, tls: Tls, data: bytes) -> None:
        try:
            tls.handshake(data)
        except ssl.SSLError as error:
            self._write(tls.outgoing())
            self._fail(tls_problem(error))
            return
        self._write(tls.outgoing())
        if tls.ready:
            self._settle(None)

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self.abort()  # nobody asked: were it kept, it would be the answer to the next request
            return
        if not self._first_byte:
            self._first_byte = time.perf_counter()
        try:
            if reader.feed(data):
                self._reader = None
                self._settle(None)
        except BrokenResponse as error:
            self._fail(error)

    def _end(self, error: Exception | None) -> None:
        """The other side has closed."""
        self.closed = True
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                reader.end()
            except BrokenResponse as problem:
                detail = "the connection broke" if error is not None and reader.started else problem.detail
                if self._fresh and self.tls is not None and not reader.started:
                    # TLS 1.3 asks for a certificate without waiting for it, and the alert may get lost with the close.
                    detail += "; does the receiver ask for a client certificate?"
                self._settle(BrokenResponse(detail))
            else:
                self._settle(None)
        elif self.tls is not None and not self.tls.ready:
            self._settle(TlsFailed("the connection was closed during the TLS handshake"))
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: OutgoingError) -> None:
        self._reader, self._problem = None, error
        self._settle(error)
        if self.closed or self._transport is None:
            return
        self.closed = True
        self._transport.close()

    def _settle(self, error: OutgoingError | None) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _expire(self) -> None:
        stage = "reading the answer" if self._reader is not None and self._reader.status else "waiting for the answer"
        self._settle(TimedOut(stage))


async def connect(
    addresses: Sequence[str], port: int, *, allow_private: bool, source: str | None = None
) -> socket.socket:
    """A connected socket to the first address that answers (happy eyeballs, RFC 8305). `source`: the local address to
    call from; only addresses of its family can be called then.

    Raises `ConnectFailed`, or `ForbiddenAddress` when one may not be called.
    """
    if source is not None:
        addresses = [address for address in addresses if (":" in address) == (":" in source)]
        if not addresses:
            raise ConnectFailed("no connection: no address of the family that is called from")
    order = _interleaved(addresses)[:_MOST_ADDRESSES]
    if len(order) == 1:
        return await _connect_one(order[0], port, allow_private, source)
    running: set[asyncio.Task[socket.socket]] = set()
    problem: OutgoingError = ConnectFailed("no connection: unreachable")
    try:
        while order or running:
            if order:
                running.add(asyncio.create_task(_connect_one(order.pop(0), port, allow_private, source)))
            done, running = await asyncio.wait(
                running, timeout=_NEXT_ADDRESS if order else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    running |= done - {task}  # if two came at once, the other is closed below
                    return task.result()
                if not isinstance(error, OutgoingError):
                    raise error
                problem = error
        raise problem
    finally:
        for task in running:
            task.add_done_callback(_drop)
            task.cancel()


def _drop(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect_one(address: str, port: int, allow_private: bool, source: str | None) -> socket.socket:
    """The one place where a socket is connected: the address is checked right before, and the peer's right after."""
    check_address(address, allow_private=allow_private)
    try:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise _connect_problem(error) from None
    try:
        opened.setblocking(False)
        with suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            opened.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
        check_address(opened.getpeername()[0], allow_private=allow_private)
    except OSError as error:
        opened.close()
        raise _connect_problem(error) from None
    except BaseException:
        opened.close()
        raise
    return opened


def _connect_problem(error: OSError) -> ConnectFailed:
    # Not the error's own text: it names the address, which the owner of a name need not learn.
    return ConnectFailed(f"no connection: {_CONNECT_PROBLEMS.get(error.errno or 0, 'unreachable')}")


def _interleaved(addresses: Sequence[str]) -> list[str]:
    """The families in turn, each in its own order, so that a family without a route costs one try (RFC 8305 §4)."""
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    second = [address for address in addresses if (":" in address) != (":" in addresses[0])]
    order: list[str] = []
    for number in range(max(len(first), len(second))):
        order += first[number : number + 1] + second[number : number + 1]
    return order
