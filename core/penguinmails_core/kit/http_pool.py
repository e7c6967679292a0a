"""Kept connections: the last one used first, at most so many for one host and in all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Hashable
from contextlib import suppress

from penguinmails_core.kit.http_connection import Connection
from penguinmails_core.kit.http_guard import ConnectFailed

# Node and uvicorn close an idle connection after 5 s. Ours close earlier, so that a request seldom meets a closed one.
IDLE_SECONDS = 4.0
_LEAST_IDLE = 0.5
_SWEEP = 1.0
_CLOSE_SECONDS = 1.0


class _Host:
    """`held`: connections that are open, or allowed to be opened."""

    __slots__ = ("held", "idle", "waiting")

    def __init__(self) -> None:
        self.held = 0
        self.idle: list[Connection] = []
        self.waiting: deque[asyncio.Future[None]] = deque()


class Pool:
    """Belongs to one event loop. Whoever got a connection or a place gives it back: `release`, `lost` or `give_up`."""

    def __init__(self, limit: int, limit_per_host: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit, self._limit_per_host = limit, limit_per_host
        self._hosts: dict[Hashable, _Host] = {}
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()  # for a place among all
        self._connections: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self.closed = False

    @property
    def open(self) -> int:
        return len(self._connections)

    def take(self, key: Hashable, addresses: Collection[str] | None) -> Connection | None:
        """An idle connection to one of `addresses` (None: to any); others that are not fit any more are closed."""
        host = self._hosts.get(key)
        if host is None:
            return None
        idle = host.idle
        while idle:
            connection = idle.pop()
            fit = addresses is None or connection.address in addresses
            if fit and connection.usable and connection.idle_until > self._loop.time():
                return connection
            connection.close()
        return None

    async def place(self, key: Hashable, addresses: Collection[str] | None) -> Connection | None:
        """Waits for its turn: an idle connection, or None for the right to open one (`opened`, or `give_up`)."""
        while not self.closed:
            connection = self.take(key, addresses)
            if connection is not None:
                return connection
            host = self._hosts.get(key)
            if host is not None and host.held >= self._limit_per_host:
                await self._wait(host.waiting)
            elif self._held >= self._limit:
                self._close_an_idle_one()  # its place is free when asyncio says that it is closed
                await self._wait(self._waiting)
            else:
                self._hosts.setdefault(key, _Host()).held += 1
                self._held += 1
                return None
        raise ConnectFailed("the request was given up: this process is ending")

    def opened(self, connection: Connection) -> None:
        """The place is taken by `connection` from now on, until it is `lost`."""
        self._connections.add(connection)

    def give_up(self, key: Hashable) -> None:
        """The place was not used."""
        host = self._hosts[key]
        host.held -= 1
        self._held -= 1
        self._wake(host.waiting)
        self._wake(self._waiting)
        self._forget(key, host)

    def release(self, connection: Connection, idle_seconds: float | None) -> None:
        """The exchange is over and the connection may be kept. `idle_seconds`: what the other side said of that."""
        keep = IDLE_SECONDS if idle_seconds is None else min(IDLE_SECONDS, idle_seconds - 1)
        if self.closed or keep < _LEAST_IDLE or not connection.usable:
            connection.close()
            return
        host = self._hosts[connection.key]
        connection.idle_until = self._loop.time() + keep
        host.idle.append(connection)
        if host.waiting:
            self._wake(host.waiting)
        elif self._waiting:
            self._wake(self._waiting)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def lost(self, connection: Connection) -> None:
        """asyncio says that it is closed."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        host = self._hosts[connection.key]
        if connection in host.idle:
            host.idle.remove(connection)
        self.give_up(connection.key)
        if not self._connections:
            self._gone.set()

    async def close(self) -> None:
        """Ends what is under way and closes what is kept."""
        self.closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for host in self._hosts.values():
            for connection in list(host.idle):
                connection.close()
            for waiter in host.waiting:
                _set(waiter)
        for waiter in self._waiting:
            _set(waiter)
        for connection in list(self._connections):
            if not connection.closed:
                connection.abort()
        if self._connections:
            self._gone.clear()
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._gone.wait()
            except TimeoutError:
                for connection in list(self._connections):
                    connection.abort()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake(queue)  # it was our turn: the next one's now
            raise
        finally:
            with suppress(ValueError):  # whose turn it was has left the queue already
                queue.remove(waiter)

    @staticmethod
    def _wake(queue: deque[asyncio.Future[None]]) -> None:
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _close_an_idle_one(self) -> None:
        """Makes room: the one that has been idle for the longest, if there is any."""
        idle = (host.idle[0] for host in self._hosts.values() if host.idle)
        oldest = min(idle, key=lambda one: one.idle_until, default=None)
        if oldest is not None:
            self._hosts[oldest.key].idle.remove(oldest)
            oldest.close()

    def _sweep(self) -> None:
        now = self._loop.time()
        left = False
        for host in list(self._hosts.values()):
            for connection in [one for one in host.idle if one.idle_until <= now]:
                host.idle.remove(connection)
                connection.close()
            left = left or bool(host.idle)
        self._sweeper = self._loop.call_later(_SWEEP, self._sweep) if left else None

    def _forget(self, key: Hashable, host: _Host) -> None:
        if not host.held and not host.waiting:
            self._hosts.pop(key, None)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
