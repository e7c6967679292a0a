"""The connection below SMTP: octets in and out, replies one by one, time limits, flow control.

Hot path: an `asyncio.Protocol` with one future, because streams cost more than the rest of the conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from penguinmails_sender.smtp.replies import Reply, ReplyError, ReplyReader

_MAX_QUEUED = 512  # replies that nobody asked for
_BLOCK = 256 * 1024


class ConnectionLost(Exception):
    """The connection is gone, or has been given up (time limit, garbage). The text says why and is safe to show."""


class Wire(asyncio.Protocol):
    """One TCP or TLS connection. `lost` is None while it is usable."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self.replies: deque[Reply] = deque()
        self.lost: str | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.quitting = False

    # ------------------------------------------------------------ called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are none by inheritance

    def data_received(self, data: bytes) -> None:
        if self.lost is not None:
            return
        try:
            self.replies.extend(self._reader.feed(data))
        except ReplyError as error:
            self.abort(str(error))
            return
        if self.quitting:
            self.close()
        elif len(self.replies) > _MAX_QUEUED:
            self.abort("the server sends replies that nobody asked for")
        elif self.replies:
            self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.lost is None:
            self.lost = f"the connection was lost: {type(exc).__name__}" if exc else "the server closed the connection"
        self._wake()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # ------------------------------------------------------------ called by the conversation

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def clean(self) -> bool:
        """True when nothing has arrived that nobody has read."""
        return self.lost is None and not self.replies and self._reader.empty

    def write(self, data: bytes | memoryview) -> None:
        """Raises ConnectionLost."""
        if self.lost is not None:
            raise ConnectionLost(self.lost)
        self.transport.write(data)

    async def write_blocks(self, data: memoryview, timeout: float) -> bool:  # noqa: ASYNC109
        """Write much, waiting after each block for the peer to take it, `timeout` seconds for each. False when a reply
        came meanwhile: the server has refused the message half-way. Raises ConnectionLost."""
        for start in range(0, len(data), _BLOCK):
            self.write(data[start : start + _BLOCK])
            while self._paused and not self.replies and self.lost is None:
                await self._wait(timeout, "the server does not take the message")
            if self.replies:
                return False
        return True

    async def reply(self, timeout: float, to: str) -> Reply:  # noqa: ASYNC109
        """The next reply; `to` names what it answers. Raises ConnectionLost, after `timeout` seconds too."""
        while not self.replies:
            if self.lost is not None:
                raise ConnectionLost(self.lost)
            await self._wait(timeout, f"no answer to {to}")
        return self.replies.popleft()

    async def _wait(self, timeout: float, what: str) -> None:  # noqa: ASYNC109
        self._waiter = self._loop.create_future()
        handle = self._loop.call_later(timeout, self.abort, f"{what} within {timeout:g} seconds")
        try:
            await self._waiter
        finally:
            handle.cancel()
            self._waiter = None

    def replace_transport(self, transport: asyncio.Transport) -> None:
        """After STARTTLS. What came in plain text may not be taken for protected (RFC 3207 §4.2): forget it."""
        self._transport = transport
        self._reader = ReplyReader()
        self.replies.clear()

    def quit(self, timeout: float) -> None:
        """Say goodbye; the answer, the end of the connection or the time limit closes it."""
        if self.lost is None and not self.quitting:
            self.quitting = True
            self.transport.write(b"QUIT\r\n")
            handle = self._loop.call_later(timeout, self.abort, "closed")
            self.closed.add_done_callback(lambda _: handle.cancel())

    def close(self) -> None:
        """Close after what has been written."""
        if self.lost is None:
            self.lost = "closed"
        if self._transport is not None:
            self._transport.close()
        self._wake()

    def abort(self, reason: str = "closed") -> None:
        """Drop the connection at once, whatever is still to be written."""
        if self.lost is None:
            self.lost = reason
        if self._transport is not None:
            self._transport.abort()
        self._wake()
