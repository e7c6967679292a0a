"""A line-by-line connection to a mail server whose name people have typed: checked addresses, TLS, time limits."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from penguinmails_core.kit.dns import DnsError, Resolver
from penguinmails_core.kit.http_guard import ForbiddenAddress, OutgoingError, check_address, check_host
from penguinmails_core.mailboxes.records import MailServer
from penguinmails_sender.mailboxes.causes import CannotSignIn

MAX_LINE = 64 * 1024
_ADDRESSES = 4  # of a host, tried one after another


@dataclass(frozen=True, slots=True)
class Reach:
    """How this process calls mail servers. `timeout`: seconds that each step may take. `context` makes the TLS context,
    with the system's certificate authorities and the operator's."""

    resolver: Resolver
    allow_private: bool
    timeout: float
    context: Callable[[], ssl.SSLContext]


class Wire:
    """Raises `CannotSignIn` from every method when the connection does not do what it should."""

    def __init__(self, reach: Reach, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reach = reach
        self._host = host
        self.reader = reader
        self.writer = writer

    async def line(self, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The next line without its end."""
        limit = self._reach.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(limit):
                line = await self.reader.readuntil(b"\n")
        except TimeoutError:
            raise CannotSignIn("timeout", f"{self._host} did not answer within {limit:g} seconds.") from None
        except asyncio.IncompleteReadError:
            raise CannotSignIn("server_unavailable", f"{self._host} closed the connection.") from None
        except asyncio.LimitOverrunError:
            raise CannotSignIn("protocol", f"{self._host} sent a line that is too long.") from None
        except ssl.SSLError as error:
            raise CannotSignIn("tls_failed", f"TLS with {self._host} broke off: {_words(error)}.") from None
        except OSError as error:
            raise CannotSignIn("server_unavailable", f"The connection to {self._host} was lost: {error}.") from None
        return line.rstrip(b"\r\n")

    async def exactly(self, count: int) -> bytes:
        try:
            async with asyncio.timeout(self._reach.timeout * 4):
                return await self.reader.readexactly(count)
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            raise CannotSignIn("server_unavailable", f"{self._host} broke off in the middle of a message.") from None

    async def send(self, line: bytes) -> None:
        self.writer.write(line + b"\r\n")
        try:
            async with asyncio.timeout(self._reach.timeout):
                await self.writer.drain()
        except (TimeoutError, OSError):
            raise CannotSignIn("server_unavailable", f"{self._host} closed the connection.") from None

    async def start_tls(self) -> None:
        if self.reader._buffer:  # type: ignore[attr-defined]
            # Plain text behind the answer would be read as if it came through TLS (RFC 3207 §6, RFC 8314 §5).
            raise CannotSignIn("tls_failed", f"{self._host} sent text before TLS had started.")
        try:
            await self.writer.start_tls(
                self._reach.context(), server_hostname=self._host, ssl_handshake_timeout=self._reach.timeout
            )
        except (ssl.SSLError, OSError) as error:
            raise _tls(self._host, error) from None

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self.writer.wait_closed()


async def connect(reach: Reach, server: MailServer) -> Wire:
    """Connected, with TLS when it is `implicit`. Raises `CannotSignIn`."""
    addresses = await resolve(reach, server.host)
    context = reach.context() if server.tls == "implicit" else None
    failure: CannotSignIn | None = None
    for address in addresses[:_ADDRESSES]:
        try:
            async with asyncio.timeout(reach.timeout):
                reader, writer = await asyncio.open_connection(
                    address,
                    server.port,
                    ssl=context,
                    server_hostname=server.host if context is not None else None,
                    limit=MAX_LINE,
                )
            return Wire(reach, server.host, reader, writer)
        except TimeoutError:
            where = f"{server.host}:{server.port}"
            failure = failure or CannotSignIn("timeout", f"No connection to {where} within {reach.timeout:g} seconds.")
        except ssl.SSLError as error:
            raise _tls(server.host, error) from None
        except OSError as error:
            failure = failure or _connection(server, error)
    assert failure is not None  # there was an address
    raise failure


async def resolve(reach: Reach, name: str) -> list[str]:
    """Checked before they are called, so that no answer of DNS leads inside. Raises `CannotSignIn`."""
    try:
        host, literal = check_host(name, allow_private=reach.allow_private)
        if literal:
            return [host]
        if host == "localhost":
            return ["127.0.0.1", "::1"]
        addresses = await reach.resolver.addresses(host)
        for address in addresses:
            check_address(address, allow_private=reach.allow_private)
    except ForbiddenAddress:
        detail = f"{name} is, or leads to, an address that may not be called from here."
        raise CannotSignIn("forbidden_address", detail) from None
    except DnsError as error:
        raise CannotSignIn("dns", f"{name} cannot be resolved: {error.reason}.") from None
    except OutgoingError as error:
        raise CannotSignIn("dns", f"{name} is no host: {error.detail}.") from None
    if not addresses:
        raise CannotSignIn("dns", f"{name} has no address.")
    return addresses


def _connection(server: MailServer, error: OSError) -> CannotSignIn:
    where = f"{server.host}:{server.port}"
    if isinstance(error, ConnectionRefusedError):
        return CannotSignIn("refused", f"{where} refuses the connection: nothing listens there.")
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return CannotSignIn("unreachable", f"There is no way to {where}.")
    return CannotSignIn("unreachable", f"No connection to {where}: {error.strerror or error}.")


def _tls(host: str, error: Exception) -> CannotSignIn:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        return CannotSignIn("tls_certificate", f"The certificate of {host} cannot be trusted: {reason}.")
    return CannotSignIn("tls_failed", f"TLS with {host} does not work: {_words(error)}.")


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else "the server closed the connection"
