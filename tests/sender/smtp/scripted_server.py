"""An SMTP server that says exactly what a test wants and remembers what it heard."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

DROP = "<drop>"  # abort the connection (RST)
CLOSE = "<close>"  # close it properly (FIN)
HANG = "<hang>"  # say nothing more
STALL = "<stall>"  # stop reading

Answer = str | Sequence[str]
"""A reply without its final CRLF (lines joined by CRLF), or one of the above. A sequence is used up in order; its last
item stays."""

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000", "ENHANCEDSTATUSCODES")
_DEFAULTS = {
    "greeting": "220 mail.test ESMTP",
    "HELO": "250 mail.test",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 queued as 4711",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 go on",
    "AUTH": "235 2.7.0 welcome",
}


class ScriptedServer:
    """`answers` by the start of the command line (the longest wins), `greeting`, or `.` for the end of the content."""

    def __init__(
        self,
        answers: Mapping[str, Answer] | None = None,
        *,
        extensions: Sequence[str] = EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        content_limit: tuple[int, Sequence[str]] | None = None,
    ) -> None:
        """`content_limit`: after so many octets of content, do these."""
        self.answers: dict[str, Answer] = {**_DEFAULTS, **(answers or {})}
        self.extensions = extensions
        self.tls = tls
        self.content_limit = content_limit
        self.sessions: list[Session] = []
        self.port = 0

    @property
    def commands(self) -> list[str]:
        return [command for session in self.sessions for command in session.commands]

    @property
    def messages(self) -> list[bytes]:
        """Contents as they came over the wire, dots still doubled."""
        return [message for session in self.sessions for message in session.messages]

    @property
    def open_sessions(self) -> int:
        return sum(not session.gone for session in self.sessions)

    def answer(self, line: str) -> str:
        key = max((key for key in self.answers if line.startswith(key)), key=len, default="")
        if not key:
            if line.startswith("EHLO"):
                lines = ["mail.test", *self.extensions]
                return "\r\n".join(f"250{'-' if item is not lines[-1] else ' '}{item}" for item in lines)
            return "500 5.5.1 what?"
        answer = self.answers[key]
        if isinstance(answer, str):
            return answer
        head, *rest = answer
        if rest:
            self.answers[key] = rest
        return head


class Session(asyncio.Protocol):
    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.commands: list[str] = []
        self.messages: list[bytes] = []
        self.chunks: list[bytes] = []  # as they arrived: shows what was written at once
        self.gone = False
        self.encrypted = False
        self.peer = ""
        self._buffer = b""
        self._in_data = False
        self._silent = False
        self._encrypting = False  # the transport that can answer is not known yet
        self._transport: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.peer = transport.get_extra_info("peername")[0]
        self.server.sessions.append(self)
        self.do(self.server.answer("greeting"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        self._buffer += data
        self._work()

    def _work(self) -> None:
        while self._buffer and not self.gone and not self._encrypting:
            if self._in_data:
                if not self._content():
                    return
                continue
            line, newline, rest = self._buffer.partition(b"\r\n")
            if not newline:
                return
            self._buffer = rest
            self._command(line.decode())

    def _content(self) -> bool:
        """True when the whole content was there."""
        limit = self.server.content_limit
        if limit is not None and len(self._buffer) > limit[0]:
            self._in_data, self._buffer = False, b""
            for action in limit[1]:
                self.do(action)
            return False
        content, end, rest = (b"\r\n" + self._buffer).partition(b"\r\n.\r\n")
        if not end:
            return False
        self._in_data, self._buffer = False, rest
        self.messages.append(content[2:] + b"\r\n" if len(content) > 2 else b"")
        self.do(self.server.answer("."))
        return True

    def _command(self, line: str) -> None:
        self.commands.append(line)
        answer = self.server.answer(line)
        self.do(answer)
        if line == "DATA" and answer.startswith("354"):
            self._in_data = True
        elif line == "QUIT":
            self._transport.close()
        elif line == "STARTTLS" and answer.startswith("220") and self.server.tls is not None:
            self._buffer, self._encrypting = b"", True
            task = asyncio.get_running_loop().create_task(self._encrypt(self.server.tls))
            self._tasks.add(task)

    async def _encrypt(self, context: ssl.SSLContext) -> None:
        try:
            self._transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_side=True
            )
            self.encrypted, self._encrypting = True, False
        except (ssl.SSLError, OSError):
            self.gone = True
        self._work()

    def do(self, action: str) -> None:
        if action == DROP:
            self.gone = True
            self._transport.abort()
        elif action == CLOSE:
            self.gone = True
            self._transport.close()
        elif action == STALL:
            self._transport.pause_reading()
        elif action == HANG:
            self._silent = True
        elif not self._silent:
            self._transport.write(action.encode("latin-1") + b"\r\n")
            if action.startswith("421"):
                self.do(CLOSE)


@asynccontextmanager
async def running(
    server: ScriptedServer, *, implicit_tls: bool = False, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[ScriptedServer]:
    listener = await asyncio.get_running_loop().create_server(
        lambda: Session(server), address, port, ssl=server.tls if implicit_tls else None
    )
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for session in server.sessions:
            session._transport.abort()
        for _ in range(50):  # let the aborted transports report that they are gone
            await asyncio.sleep(0)
            if not server.open_sessions:
                break
