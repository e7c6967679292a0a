"""One conversation (RFC 5321).

Extensions: PIPELINING (RFC 2920), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), SIZE (RFC 1870), ENHANCEDSTATUSCODES
(RFC 2034) and, when a certificate is given, STARTTLS (RFC 3207).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from penguinmails_core.kit.clock import utcnow
from penguinmails_sender.smtpd.commands import CommandError, parse_mail, parse_rcpt
from penguinmails_sender.smtpd.received import Received

if TYPE_CHECKING:
    from penguinmails_sender.smtpd.server import SmtpServer

MAX_RECIPIENTS = 1_000
MAX_LINE = 4_096  # RFC 5321 §4.5.3.1.4 asks for 512; extensions add to it
_KEPT = "250 2.0.0 Kept"


class Connection(asyncio.Protocol):
    """One client. Bytes are buffered and worked off in one go, so pipelined commands cost one write."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._replies: list[str] = []
        self._in_data = False
        self._searched = 0  # how far the buffer holds no end of data
        self._too_big = False
        self._closing = False
        self._upgrading = False
        self._upgrade: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None  # a message is being kept; nothing else is worked on
        self._tls = False
        self._helo = ""
        self._remote = ""
        self._sender: str | None = None
        self._utf8 = False
        self._recipients: list[str] = []
        self._transport: asyncio.Transport
        self._seen = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are none by inheritance
        peer = transport.get_extra_info("peername")
        self._remote = f"{peer[0]}:{peer[1]}" if peer else ""
        self._server.connections.add(self)
        self._touch()
        self._watch()
        most = self._server.max_connections
        if most is not None and len(self._server.connections) > most:
            self._reply("421 4.3.2 Too many connections; try again later")
            return self._close()
        self._reply(f"220 {self._server.hostname} ESMTP {self._server.title}")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._server.discard(self)

    def data_received(self, data: bytes) -> None:
        self._touch()
        self._buffer += data
        self._work()
        self._flush()

    def pause_writing(self) -> None:
        self._transport.pause_reading()  # a client that does not read its replies is not read either

    def resume_writing(self) -> None:
        if self._keeping is None:
            self._transport.resume_reading()

    # Closing

    def shut_down(self) -> None:
        if not self._closing:
            self._reply("421 4.3.2 The server is stopping")
            self._close()
        if self._upgrading:
            self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()

    def _close(self) -> None:
        self._closing = True
        self._flush()
        self._transport.close()

    def _touch(self) -> None:
        self._seen = asyncio.get_running_loop().time()

    def _watch(self) -> None:
        """Close a connection that has been silent too long. One timer per connection, moved when it fires."""
        loop = asyncio.get_running_loop()
        left = self._seen + self._server.idle_seconds - loop.time()
        if left <= 0 and self._keeping is None:
            self._reply("421 4.4.2 Idle for too long")
            self._close()
        else:
            self._timer = loop.call_later(left if left > 0 else self._server.idle_seconds, self._watch)

    # The conversation

    def _reply(self, line: str) -> None:
        self._replies.append(line)

    def _flush(self) -> None:
        if self._replies and not self._transport.is_closing():
            self._transport.write(("\r\n".join(self._replies) + "\r\n").encode("utf-8"))
        self._replies.clear()

    def _work(self) -> None:
        while not self._closing and not self._upgrading and self._keeping is None:
            if self._in_data:
                if not self._take_data():
                    return
            else:
                end = self._buffer.find(b"\n")
                if end < 0 or end > MAX_LINE:
                    if len(self._buffer) > MAX_LINE:
                        self._reply("500 5.5.2 The command line is too long")
                        self._close()
                    return
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                self._command(line)

    def _command(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            return self._reply("500 5.5.2 Lines end with CR LF")
        try:
            text = line[:-2].decode("utf-8")
        except UnicodeDecodeError:
            return self._reply("500 5.5.2 The command is not UTF-8")
        verb, _, rest = text.partition(" ")
        handler = _HANDLERS.get(verb.upper())
        if handler is None:
            return self._reply("500 5.5.1 Unknown command")
        try:
            handler(self, rest)
        except CommandError as error:
            self._reply(error.reply)

    def _reset(self) -> None:
        self._sender = None
        self._utf8 = False
        self._recipients = []

    def _helo_command(self, rest: str) -> None:
        name = self._greeted(rest)
        if name is not None:
            self._reply(f"250 {self._server.hostname} hello {name}")

    def _ehlo_command(self, rest: str) -> None:
        name = self._greeted(rest)
        if name is None:
            return
        lines = [f"{self._server.hostname} hello {name}", "PIPELINING", "8BITMIME", "SMTPUTF8"]
        lines += [f"SIZE {self._server.max_size}", "ENHANCEDSTATUSCODES"]
        if self._server.tls is not None and not self._tls:
            lines.append("STARTTLS")
        for line in lines[:-1]:
            self._reply("250-" + line)
        self._reply("250 " + lines[-1])

    def _greeted(self, rest: str) -> str | None:
        name = rest.strip()
        if not name or not name.isprintable():
            self._reply("501 5.5.4 Say your host name after the command")
            return None
        self._helo = name
        self._reset()
        return name

    def _mail_command(self, rest: str) -> None:
        if not self._helo:
            return self._reply("503 5.5.1 Say EHLO first")
        if self._sender is not None:
            return self._reply("503 5.5.1 A sender was given already; RSET starts anew")
        mail = parse_mail(rest, self._server.max_size)
        self._sender, self._utf8 = mail.address, mail.smtputf8
        self._reply("250 2.1.0 Sender ok")

    def _rcpt_command(self, rest: str) -> None:
        if self._sender is None:
            return self._reply("503 5.5.1 Give the sender first (MAIL FROM)")
        recipient = parse_rcpt(rest, self._utf8)
        if len(self._recipients) >= MAX_RECIPIENTS:
            return self._reply(f"452 4.5.3 More than {MAX_RECIPIENTS} recipients in one message")
        refusal = self._server.recipient_reply(recipient)
        if refusal is None:
            self._recipients.append(recipient)
        self._reply(refusal or "250 2.1.5 Recipient ok")

    def _data_command(self, rest: str) -> None:
        if self._sender is None:
            return self._reply("503 5.5.1 Give the sender first (MAIL FROM)")
        if not self._recipients:
            return self._reply("554 5.5.1 No valid recipients")
        if rest:
            return self._reply("501 5.5.4 DATA takes no argument")
        self._in_data, self._too_big = True, False
        # The end is CRLF.CRLF and the CRLF before it may be the one of DATA itself: put it in front of the message.
        self._buffer[:0] = b"\r\n"
        self._searched = 0
        self._reply("354 End with a dot on a line of its own")

    def _take_data(self) -> bool:
        """True when the end of the message was found and answered."""
        end = self._buffer.find(b"\r\n.\r\n", self._searched)
        if end < 0:
            # Dot stuffing makes at most four bytes of three. Too big: read on without keeping, answer at the end.
            if self._too_big or len(self._buffer) > self._server.max_size * 4 // 3 + 8:
                self._too_big = True
                del self._buffer[:-4]
            self._searched = max(0, len(self._buffer) - 4)
            return False
        raw = bytes(self._buffer[:end]).replace(b"\r\n.", b"\r\n")[2:] + (b"\r\n" if end else b"")
        del self._buffer[: end + 5]
        self._in_data = False
        if self._too_big or len(raw) > self._server.max_size:
            self._reply(f"552 5.3.4 The message is larger than {self._server.max_size} bytes")
        else:
            answer = self._deliver(raw)
            if answer is None or isinstance(answer, str):
                self._reply(answer or _KEPT)
            else:
                self._transport.pause_reading()
                self._keeping = asyncio.ensure_future(self._keep(answer))
        self._reset()
        return True

    async def _keep(self, answer: Awaitable[str | None]) -> None:
        """Answer when the message is kept, then go on with what was sent behind it."""
        reply = await answer
        self._keeping = None
        self._touch()
        if self._closing or self._transport.is_closing():
            return
        self._reply(reply or _KEPT)
        self._transport.resume_reading()
        self._work()
        self._flush()

    def _deliver(self, raw: bytes) -> str | Awaitable[str | None] | None:
        assert self._sender is not None
        message = Received(
            envelope_sender=self._sender,
            recipients=tuple(self._recipients),
            raw=raw,
            received_at=utcnow(),
            remote=self._remote,
            helo=self._helo,
            tls=self._tls,
        )
        return self._server.deliver(message)

    def _rset_command(self, rest: str) -> None:
        self._reset()
        self._reply("250 2.0.0 Ok")

    def _noop_command(self, rest: str) -> None:
        self._reply("250 2.0.0 Ok")

    def _vrfy_command(self, rest: str) -> None:
        self._reply("252 2.5.2 Send some mail and see")

    def _help_command(self, rest: str) -> None:
        self._reply("214 2.0.0 This server relays nothing")

    def _quit_command(self, rest: str) -> None:
        self._reply("221 2.0.0 Bye")
        self._close()

    def _starttls_command(self, rest: str) -> None:
        if self._server.tls is None or self._tls:
            return self._reply("502 5.5.1 STARTTLS is not offered")
        if self._buffer:  # RFC 3207 §5 and CVE-2011-0411: nothing sent in the clear may count after the handshake
            self._reply("503 5.5.1 Wait for the answer to STARTTLS")
            return self._close()
        self._upgrading = True
        self._transport.pause_reading()  # the handshake belongs to the TLS layer, not to our buffer
        self._reply("220 2.0.0 Go ahead")
        self._flush()
        self._upgrade = asyncio.get_running_loop().create_task(self._start_tls(self._server.tls))

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        plain = self._transport
        self._tls = True
        try:
            upgraded = await loop.start_tls(plain, self, context, server_side=True, ssl_handshake_timeout=20)
        except (OSError, ssl.SSLError):
            upgraded = None
        self._upgrading = False
        if upgraded is None:
            plain.abort()
            self.connection_lost(None)
            return
        self._transport = upgraded
        self._helo = ""  # RFC 3207 §4.2: forget what was said in the clear
        self._reset()
        if self._closing:
            upgraded.abort()


_HANDLERS: dict[str, Callable[[Connection, str], None]] = {
    "HELO": Connection._helo_command,
    "EHLO": Connection._ehlo_command,
    "MAIL": Connection._mail_command,
    "RCPT": Connection._rcpt_command,
    "DATA": Connection._data_command,
    "RSET": Connection._rset_command,
    "NOOP": Connection._noop_command,
    "VRFY": Connection._vrfy_command,
    "HELP": Connection._help_command,
    "QUIT": Connection._quit_command,
    "STARTTLS": Connection._starttls_command,
}
