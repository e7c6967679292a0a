"""TLS of the outgoing client: contexts, client certificates, sessions, and a layer over memory buffers.

asyncio's own TLS cannot be handed a session, so that every new connection would pay for a full handshake (about a
millisecond of processor time for a receiver we know well). Here the handshake is OpenSSL's as well, and the bytes
travel over an ordinary transport.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from penguinmails_core.kit.http_guard import BrokenResponse, InvalidRequest, OutgoingError, TlsFailed

_CONTEXTS = 64  # client certificates whose context is kept; each holds the trusted roots once more
_SESSIONS = 2000
_SESSION_SECONDS = 3600.0  # a resumed session does not see the certificate again
_RECORD = 16384  # most bytes in one record (RFC 8446 §5.1)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What we show a receiver that asks who calls (mutual TLS). Both are PEM; `certificate` may bring its chain."""

    certificate: str
    key: str = field(repr=False)

    def check(self) -> None:
        """Raises `InvalidRequest` when the two cannot be used, with the reason in plain words."""
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self)


class TlsContexts:
    """One context for each client certificate, and one for none. `make` gives a context that knows whom to trust."""

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        self._make = make
        self._contexts: dict[ClientCertificate | None, TlsContext] = {}
        self._one_at_a_time = asyncio.Lock()

    async def get(self, certificate: ClientCertificate | None) -> TlsContext:
        """Raises `InvalidRequest` when the certificate cannot be used."""
        found = self._contexts.get(certificate)
        if found is not None:
            return found
        async with self._one_at_a_time:
            found = self._contexts.get(certificate)
            if found is None:
                found = await asyncio.to_thread(self._open, certificate)  # reading the trusted roots takes its time
                if certificate is not None and len(self._contexts) >= _CONTEXTS:
                    del self._contexts[next(key for key in self._contexts if key is not None)]
                self._contexts[certificate] = found
        return found

    def _open(self, certificate: ClientCertificate | None) -> TlsContext:
        context = self._make()
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION
        if certificate is not None:
            _load(context, certificate)
        return TlsContext(context)


class TlsContext:
    """A context with the sessions made by it, by whom they were made with: a session stands for a checked certificate,
    so that of one host is never offered to another."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._sessions: dict[str, tuple[ssl.SSLSession, float]] = {}

    def open(self, origin: str, host: str) -> Tls:
        session, until = self._sessions.get(origin, (None, 0.0))
        known = session if until > time.monotonic() else None
        return Tls(self._context, host, known, lambda new: self._remember(origin, new))

    def _remember(self, origin: str, session: ssl.SSLSession) -> None:
        self._sessions.pop(origin, None)
        self._sessions[origin] = (session, time.monotonic() + min(_SESSION_SECONDS, session.timeout))
        if len(self._sessions) > _SESSIONS:
            del self._sessions[next(iter(self._sessions))]


class Tls:
    """One side of one connection. What has to be sent is given back as bytes. Raises `ssl.SSLError`."""

    __slots__ = ("_in", "_object", "_out", "_save", "ready")

    def __init__(
        self,
        context: ssl.SSLContext,
        host: str,
        session: ssl.SSLSession | None,
        save: Callable[[ssl.SSLSession], None],
    ) -> None:
        self._save = save
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host, session=session)
        self.ready = False

    @property
    def version(self) -> str | None:
        return self._object.version()

    @property
    def resumed(self) -> bool:
        return bool(self._object.session_reused)

    def remember(self) -> None:
        """Keeps what a later connection may start from. Call it when an answer has been read: sessions of TLS 1.3 come
        after the handshake (RFC 8446 §4.6.1). A session serves many connections: Python copies it at every look, which
        costs as much as it saves, and that a watcher can tell two of our connections as ours is no news to him."""
        if self.resumed:
            return
        session = self._object.session
        if session is not None and (session.has_ticket or session.id):
            self._save(session)

    def handshake(self, data: bytes = b"") -> None:
        """Goes on with it; `ready` when it is done. Send `outgoing` afterwards, also when it raises: an alert."""
        if data:
            self._in.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.ready = True

    def outgoing(self) -> bytes:
        return self._out.read() if self._out.pending else b""

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._out.read()

    def decrypt(self, data: bytes = b"") -> tuple[bytes, bool]:
        """(what can be read, whether the other side has said goodbye)."""
        if data:
            self._in.write(data)
        parts: list[bytes] = []
        try:
            while self._in.pending or self._object.pending() or not parts:
                part = self._object.read(_RECORD)
                if not part:
                    return b"".join(parts), True
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b"".join(parts), True
        return parts[0] if len(parts) == 1 else b"".join(parts), False

    def goodbye(self) -> bytes:
        """The close_notify; without it OpenSSL would take the session for broken and not use it again."""
        with suppress(ssl.SSLError):  # always one: the other side's goodbye is not waited for
            self._object.unwrap()
        return self.outgoing()


def tls_problem(error: ssl.SSLError) -> TlsFailed:
    """What to tell the owner of the URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"the certificate is not trusted: {error.verify_message or 'it does not verify'}")
    reason = (error.reason or "").upper()
    if "CERTIFICATE_REQUIRED" in reason or reason == "TLSV1_ALERT_NO_CERTIFICATE":
        return TlsFailed("the receiver asks for a client certificate")
    if "UNKNOWN_CA" in reason or "ALERT_BAD_CERTIFICATE" in reason or "CERTIFICATE_UNKNOWN" in reason:
        return TlsFailed("the receiver does not accept our client certificate")
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
        return TlsFailed("what answers at this port is not TLS")
    if "PROTOCOL_VERSION" in reason or reason in ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"):
        return TlsFailed("the receiver speaks no version of TLS that is still safe (1.2 or 1.3)")
    if "HANDSHAKE_FAILURE" in reason:
        return TlsFailed("the receiver refused the TLS handshake")
    return TlsFailed("no TLS connection could be made")


def late_tls_problem(error: ssl.SSLError) -> OutgoingError:
    """After the handshake. In TLS 1.3 a server says only then what it thinks of our certificate (RFC 8446 §4.4.2.4)."""
    problem = tls_problem(error)
    return problem if "client certificate" in problem.detail else BrokenResponse("the TLS connection broke")


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    if "-----BEGIN CERTIFICATE-----" not in certificate.certificate:
        raise InvalidRequest("the client certificate is not PEM: it starts with -----BEGIN CERTIFICATE-----")
    if "PRIVATE KEY-----" not in certificate.key:
        raise InvalidRequest("the key of the client certificate is not PEM: it starts with -----BEGIN PRIVATE KEY-----")

    def password() -> str:  # without it OpenSSL would ask on the terminal
        raise InvalidRequest("the key of the client certificate is encrypted; give it without a passphrase")

    try:
        with _files(certificate.certificate, certificate.key) as (chain, key):
            context.load_cert_chain(chain, key, password)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise InvalidRequest("the key does not belong to the client certificate") from None
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
            raise InvalidRequest("the client certificate is too weak to be used") from None
        raise InvalidRequest("the client certificate or its key cannot be read") from None
    except (OSError, ValueError):
        raise InvalidRequest("the client certificate or its key cannot be read") from None


@contextmanager
def _files(*texts: str) -> Iterator[list[str]]:
    """OpenSSL reads certificates from files only. Where the system can, from ones that exist in memory alone."""
    opened: list[int] = []
    try:
        if hasattr(os, "memfd_create"):
            for text in texts:
                opened.append(os.memfd_create("certificate"))
                os.write(opened[-1], text.encode())
            yield [f"/proc/self/fd/{descriptor}" for descriptor in opened]
        else:
            with tempfile.TemporaryDirectory() as folder:  # readable by this user only
                paths = [Path(folder) / str(number) for number in range(len(texts))]
                for path, text in zip(paths, texts, strict=True):
                    path.write_text(text)
                yield [str(path) for path in paths]
    finally:
        for descriptor in opened:
            os.close(descriptor)
