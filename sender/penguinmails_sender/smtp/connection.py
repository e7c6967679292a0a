"""Opening a connection: TCP, greeting, EHLO, STARTTLS, AUTH (RFC 5321 §3.1-3.2, RFC 3207, RFC 4954)."""

from __future__ import annotations

import asyncio
import random
import ssl
from base64 import b64encode
from dataclasses import replace

from penguinmails_core.kit.http_connection import connect
from penguinmails_core.kit.http_guard import OutgoingError
from penguinmails_sender.smtp.replies import Reply
from penguinmails_sender.smtp.settings import SmtpOptions, TlsPolicy
from penguinmails_sender.smtp.wire import ConnectionLost, Wire


class SmtpError(Exception):
    """No conversation could be opened. `detail` is safe to show; `reply` is the server's, if it gave one;
    `enhanced_code` is ours when it did not. Nothing of this is the recipient's fault."""

    def __init__(self, detail: str, reply: Reply | None = None, enhanced_code: str | None = None) -> None:
        super().__init__(detail if reply is None else f"{detail}: {reply}")
        self.detail = detail
        self.reply = reply
        self.enhanced_code = enhanced_code if reply is None else reply.enhanced_code


class SmtpConnection:
    """An open session. `extensions` maps EHLO keywords to their parameters; `messages` counts transactions;
    `needs_reset` says that a transaction was left open, to be reset before the next (RFC 5321 §4.1.1.5)."""

    __slots__ = ("extensions", "messages", "needs_reset", "options", "tls", "tls_version", "wire")

    def __init__(self, options: SmtpOptions, wire: Wire) -> None:
        self.options = options
        self.wire = wire
        self.extensions: dict[str, str] = {}
        self.messages = 0
        self.needs_reset = False
        self.tls = options.tls is TlsPolicy.IMPLICIT
        self.tls_version: str | None = None

    @property
    def usable(self) -> bool:
        """False when the connection is gone, or when something arrived that nobody asked for (a 421, usually)."""
        return self.wire.clean

    async def command(self, line: str, shown: str, timeout: float | None = None) -> Reply:  # noqa: ASYNC109
        """One command and its reply; `shown` stands for it in errors. Raises SmtpError, for 421 too."""
        try:
            self.wire.write(line.encode() + b"\r\n")
            reply = await self.wire.reply(timeout or self.options.timeouts.command, shown)
        except ConnectionLost as lost:
            raise SmtpError(str(lost)) from None
        if reply.code == 421:
            raise SmtpError(f"the server closes the connection at {shown}", reply)
        return reply


async def open_connection(options: SmtpOptions) -> SmtpConnection:
    """Raises SmtpError."""
    try:
        return await _open(options)
    except _HandshakeFailed as failure:
        if options.tls is not TlsPolicy.OPPORTUNISTIC or options.username is not None:
            raise SmtpError(f"TLS failed: {failure}", enhanced_code="4.7.5") from None
    # Opportunistic: a broken STARTTLS must not keep mail from going as it would go without (RFC 7435 §4).
    return await _open(replace(options, tls=TlsPolicy.OFF))


class _HandshakeFailed(Exception):
    pass


async def _open(options: SmtpOptions) -> SmtpConnection:
    wire = Wire()
    try:
        await _connect(options, wire)
        connection = SmtpConnection(options, wire)
        if connection.tls:
            _look_at_peer(connection, wire.transport)
        await _greet(connection)
    except BaseException:
        wire.abort()
        raise
    return connection


async def _connect(options: SmtpOptions, wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    where = f"{options.host}:{options.port}"
    implicit = options.tls is TlsPolicy.IMPLICIT
    if options.addresses:
        await _connect_to_addresses(options, wire)
        return
    local = (options.source_address, 0) if options.source_address else None
    try:
        async with asyncio.timeout(options.timeouts.connect):
            await loop.create_connection(
                lambda: wire,
                options.host,
                options.port,
                local_addr=local,
                ssl=options.context() if implicit else None,
                server_hostname=(options.tls_name or options.host) if implicit else None,
                ssl_handshake_timeout=options.timeouts.tls if implicit else None,
            )
    except TimeoutError:
        raise SmtpError(f"no connection to {where} within {options.timeouts.connect:g} seconds") from None
    except ssl.SSLError as error:
        raise _HandshakeFailed(_reason(error)) from None
    except OSError as error:
        raise SmtpError(f"no connection to {where}: {error.strerror or error}") from None


async def _connect_to_addresses(options: SmtpOptions, wire: Wire) -> None:
    """Happy eyeballs; of equal addresses none is always the first, so that load spreads (RFC 5321 §5.1)."""
    order = random.sample(options.addresses, len(options.addresses))
    try:
        async with asyncio.timeout(options.timeouts.connect):
            opened = await connect(
                order, options.port, allow_private=options.allow_private, source=options.source_address
            )
    except TimeoutError:
        raise SmtpError(f"no connection to {options.host} within {options.timeouts.connect:g} seconds") from None
    except OutgoingError as error:
        raise SmtpError(f"{options.host}: {error}") from None
    try:
        await asyncio.get_running_loop().create_connection(lambda: wire, sock=opened)
    except BaseException:
        opened.close()
        raise


async def _greet(connection: SmtpConnection) -> None:
    options = connection.options
    try:
        greeting = await connection.wire.reply(options.timeouts.greeting, "our connection")
    except ConnectionLost as lost:
        raise SmtpError(str(lost)) from None
    if greeting.code != 220:
        raise SmtpError("the server does not want to talk", greeting)
    await _hello(connection)
    if options.tls in (TlsPolicy.OPPORTUNISTIC, TlsPolicy.ENCRYPTED, TlsPolicy.REQUIRED):
        await _start_tls(connection)
    if options.username is not None and options.password is not None:
        if not connection.tls and options.tls is not TlsPolicy.OFF:
            raise SmtpError("the server offers no TLS; credentials are not sent in the clear", enhanced_code="4.7.4")
        if options.xoauth2:
            await _authenticate_by_token(connection, options.username, options.password)
        else:
            await _authenticate(connection, options.username, options.password)


async def _hello(connection: SmtpConnection) -> None:
    name = connection.options.hostname
    reply = await connection.command(f"EHLO {name}", "EHLO")
    if reply.code == 250:
        lines = (line.strip().replace("=", " ", 1).partition(" ") for line in reply.lines[1:])
        connection.extensions = {keyword.upper(): parameters for keyword, _, parameters in lines}
        return
    reply = await connection.command(f"HELO {name}", "HELO")
    if reply.code != 250:
        raise SmtpError("the server refuses EHLO and HELO", reply)
    connection.extensions = {}


async def _start_tls(connection: SmtpConnection) -> None:
    options, wire = connection.options, connection.wire
    required = options.tls is not TlsPolicy.OPPORTUNISTIC
    if "STARTTLS" not in connection.extensions:
        if required:
            raise SmtpError("TLS is required and the server does not offer STARTTLS", enhanced_code="4.7.4")
        return
    try:
        reply = await connection.command("STARTTLS", "STARTTLS")
    except SmtpError as error:
        if error.reply is not None:
            raise
        raise _HandshakeFailed(error.detail) from None
    if reply.code != 220:
        if required:
            raise SmtpError("TLS is required and the server refuses STARTTLS", reply)
        return
    if not wire.clean:
        # Plain text behind the 220 would be read as if it came through TLS (RFC 3207 §6, CVE-2011-0411).
        raise _HandshakeFailed("the server sent text before TLS had started")
    try:
        transport = await asyncio.get_running_loop().start_tls(
            wire.transport,
            wire,
            options.context(),
            server_hostname=options.tls_name or options.host,
            ssl_handshake_timeout=options.timeouts.tls,
        )
    except (ssl.SSLError, OSError) as error:
        raise _HandshakeFailed(_reason(error)) from None
    if transport is None:
        raise _HandshakeFailed("the server closed the connection")
    _look_at_peer(connection, transport)
    wire.replace_transport(transport)
    connection.tls = True
    await _hello(connection)


def _look_at_peer(connection: SmtpConnection, transport: asyncio.BaseTransport) -> None:
    found: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if found is None:
        return
    connection.tls_version = found.version()
    check = connection.options.check_peer
    problem = check(found) if check is not None else None
    if problem is not None:
        transport.abort()  # type: ignore[attr-defined]
        raise _HandshakeFailed(problem)


async def _authenticate_by_token(connection: SmtpConnection, username: str, token: str) -> None:
    """XOAUTH2, as Google and Microsoft speak it."""
    if "XOAUTH2" not in connection.extensions.get("AUTH", "").upper().split():
        raise SmtpError("the server does not offer AUTH XOAUTH2", enhanced_code="4.7.4")
    secret = b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()
    reply = await connection.command(f"AUTH XOAUTH2 {secret}", "AUTH")
    if reply.code == 334:  # the error in base64; an empty answer ends it
        reply = await connection.command("", "AUTH")
    if reply.code != 235:
        raise SmtpError("the server refuses the token", reply)


async def _authenticate(connection: SmtpConnection, username: str, password: str) -> None:
    offered = connection.extensions.get("AUTH", "").upper().split()
    if "PLAIN" in offered:
        secret = b64encode(f"\0{username}\0{password}".encode()).decode()
        reply = await connection.command(f"AUTH PLAIN {secret}", "AUTH")
    elif "LOGIN" in offered:
        reply = await connection.command("AUTH LOGIN", "AUTH")
        for part in (username, password):
            if reply.code == 334:
                reply = await connection.command(b64encode(part.encode()).decode(), "AUTH")
    else:
        raise SmtpError("the server offers neither AUTH PLAIN nor AUTH LOGIN", enhanced_code="4.7.4")
    if reply.code != 235:
        raise SmtpError("the server refuses the user name or password", reply)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return getattr(error, "verify_message", "") or error.reason or type(error).__name__
    return "the server closed the connection or did not answer in time"
