"""Listens, counts connections, and closes them."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from penguinmails_sender.smtpd.connection import Connection
from penguinmails_sender.smtpd.received import OnMessage, Received

MAX_SIZE = 26_214_400  # 25 MiB, what large receivers announce
IDLE_SECONDS = 300.0  # RFC 5321 §4.5.3.2.7
_STOP_SECONDS = 2.0

log = logging.getLogger(__name__)


def _anybody(_: str) -> None:
    return None


class SmtpServer:
    """Listens on `host`:`port` (0: any free one; read `port` after `start`). `stop` closes every connection.

    `recipient_reply` decides on each recipient: None takes it, a text such as "550 5.1.1 Unknown" refuses it.
    """

    def __init__(
        self,
        on_message: OnMessage | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        hostname: str = "inbox.localhost",
        title: str = "PenguinMails capture inbox",
        max_size: int = MAX_SIZE,
        max_connections: int | None = None,
        tls: ssl.SSLContext | None = None,
        recipient_reply: Callable[[str], str | None] = _anybody,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.on_message = on_message
        self.host = host
        self.port = port
        self.hostname = hostname
        self.title = title
        self.max_connections = max_connections
        self.max_size = max_size
        self.tls = tls
        self.recipient_reply = recipient_reply
        self.idle_seconds = idle_seconds
        self.connections: set[Connection] = set()
        self.received = 0
        self._server: asyncio.Server | None = None
        self._all_closed = asyncio.Event()

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self.host, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, tell open connections 421, and wait until all are closed."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in tuple(self.connections):
            connection.shut_down()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                while self.connections:
                    self._all_closed.clear()
                    await self._all_closed.wait()
        except TimeoutError:  # a client that does not read
            for connection in tuple(self.connections):
                connection.abort()
            for _ in range(10):  # connection_lost comes in one of the next rounds of the loop
                await asyncio.sleep(0)
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def deliver(self, message: Received) -> str | Awaitable[str | None] | None:
        """Hand a message on; the reply to send instead of 250, if any."""
        self.received += 1
        if self.on_message is None:
            return None
        try:
            answer = self.on_message(message)
        except Exception:
            return self._not_kept(message)
        return answer if answer is None or isinstance(answer, str) else self._settled(answer, message)

    async def _settled(self, answer: Awaitable[str | None], message: Received) -> str | None:
        try:
            return await answer
        except Exception:
            return self._not_kept(message)

    def _not_kept(self, message: Received) -> str:
        log.exception("%s: a message of %d bytes could not be kept", self.title, len(message.raw))
        return "451 4.3.0 The message could not be kept; see the log of the server"

    def discard(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._all_closed.set()
