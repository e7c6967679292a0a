"""Connections to one destination, kept and shared."""

from __future__ import annotations

import asyncio
from collections import deque

from penguinmails_sender.lanes.gate import Gate
from penguinmails_sender.smtp.connection import SmtpConnection, SmtpError, open_connection
from penguinmails_sender.smtp.envelope import Envelope
from penguinmails_sender.smtp.results import Outcome, RecipientResult
from penguinmails_sender.smtp.settings import PoolLimits, SmtpOptions
from penguinmails_sender.smtp.transaction import Stale, deliver

_FAREWELL = 1.0  # seconds to wait for a connection that has done its share to close


class SmtpPool:
    """At most `limits.connections` at once; more deliveries wait their turn. Belongs to one event loop.

    A connection goes back only after a finished transaction: after a failure or a cancellation nobody knows what the
    server would read next, so it is dropped.
    """

    def __init__(self, options: SmtpOptions, limits: PoolLimits | None = None) -> None:
        self.options = options
        self.limits = limits or PoolLimits()  # may be replaced; what is open then stays
        self._gate = Gate(lambda: self.limits.connections)
        self._idle: deque[tuple[float, SmtpConnection]] = deque()  # (since, connection), the oldest first
        self._open: set[SmtpConnection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self._users = 0

    @property
    def idle(self) -> bool:
        """A connection waits for work."""
        return bool(self._idle)

    @property
    def unused(self) -> bool:
        """No connection is open, and nobody waits for one."""
        return not self._open and self._users == 0

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        """A result for each recipient, in order; a server that cannot be reached defers all of them. Raises nothing
        but cancellation (and RuntimeError after `aclose`)."""
        try:
            return await self.attempt(envelope)
        except SmtpError as error:
            return unreachable(envelope, error, self.options.host, self.options.tls_source)

    async def attempt(self, envelope: Envelope) -> list[RecipientResult]:
        """As `deliver`, but raises SmtpError when no conversation could be opened, so that another host may be tried:
        nothing has been said yet."""
        self._users += 1
        try:
            return await self._attempt(envelope)
        finally:
            self._users -= 1

    async def _attempt(self, envelope: Envelope) -> list[RecipientResult]:
        if self._closed:
            raise RuntimeError("the pool is closed")
        async with self._gate.entered():
            # The server may have closed a kept connection; as long as it has answered nothing, the next is as good.
            while (connection := self._take()) is not None:
                try:
                    results = await deliver(connection, envelope)
                except Stale:
                    continue
                await self._give_back(connection)
                return results
            connection = await open_connection(self.options)
            self._watch(connection)
            try:
                results = await deliver(connection, envelope)
            except Stale as stale:
                raise SmtpError(stale.detail, stale.reply) from None
            await self._give_back(connection)
            return results

    def _watch(self, connection: SmtpConnection) -> None:
        self._open.add(connection)
        connection.wire.closed.add_done_callback(lambda _: self._open.discard(connection))

    def _take(self) -> SmtpConnection | None:
        """The connection used last, so that the others grow old and are closed."""
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.usable:
                return connection
            connection.wire.abort()
        return None

    async def _give_back(self, connection: SmtpConnection) -> None:
        if not connection.usable:
            connection.wire.abort()
        elif self._closed or connection.messages >= self.limits.messages:
            # Until it is gone the server counts it, so a new one would be one too many.
            connection.wire.quit(self.options.timeouts.quit)
            await asyncio.wait([connection.wire.closed], timeout=_FAREWELL)
        else:
            now = asyncio.get_running_loop().time()
            self._idle.append((now, connection))
            if self._reaper is None:
                self._schedule(self.limits.idle)

    def _schedule(self, delay: float) -> None:
        self._reaper = asyncio.get_running_loop().call_later(delay, self._reap)

    def _reap(self) -> None:
        """Close what has been idle for too long."""
        self._reaper = None
        now = asyncio.get_running_loop().time()
        while self._idle and now - self._idle[0][0] >= self.limits.idle:
            self._idle.popleft()[1].wire.quit(self.options.timeouts.quit)
        if self._idle:
            self._schedule(self._idle[0][0] + self.limits.idle - now)

    async def aclose(self) -> None:
        """Say goodbye on every idle connection; those in use follow when they are done."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while self._idle:
            self._idle.pop()[1].wire.quit(self.options.timeouts.quit)
        ending = [item.wire.closed for item in self._open if item.wire.quitting or item.wire.lost is not None]
        if ending:
            await asyncio.wait(ending)


def unreachable(envelope: Envelope, error: SmtpError, host: str, tls_source: str) -> list[RecipientResult]:
    """Before MAIL nothing is the recipient's fault, so even a 5yz defers."""
    reply = error.reply
    code, text = (None, error.detail) if reply is None else (reply.code, f"{error.detail}: {reply.text}")
    return [
        RecipientResult(address, Outcome.DEFERRED, code, error.enhanced_code, text, host, tls_source=tls_source)
        for address in envelope.recipients
    ]
