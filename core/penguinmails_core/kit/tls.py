"""Looks at a server's TLS: the version it speaks, its certificate, and in words why it is not trusted.

A handshake and nothing more: no request is sent. Only addresses that may be called are called (`http_guard`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from penguinmails_core.kit.http_guard import check_address

_MOST_NAMES = 20
# What OpenSSL found wrong with a chain (X509_V_ERR_*, openssl-verification-options(1)).
_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_FIRST = 10, 9, 18, 19, 20, 21
_WRONG_NAME, _WRONG_ADDRESS = 62, 64


@dataclass(frozen=True, slots=True)
class Certificate:
    """`names`: what it is valid for, up to 20 of them."""

    subject: str
    issuer: str
    names: list[str]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """`version` such as ``TLSv1.3``; None when no handshake came about. `problem`: why the connection is not trusted,
    one word and a sentence; None when it is."""

    version: str | None
    certificate: Certificate | None
    problem: tuple[str, str] | None

    @property
    def trusted(self) -> bool:
        return self.problem is None


async def look_at_tls(
    addresses: Sequence[str], port: int, host: str, *, allow_private: bool, context: ssl.SSLContext
) -> TlsFacts | None:
    """What the first address that answers shows for `host`; None when none can be connected to. Takes as long as the
    server makes it: give it a deadline. Raises `ForbiddenAddress`."""
    for address in addresses:
        check_address(address, allow_private=allow_private)
    for address in addresses:
        try:
            return await _handshake(address, port, host, context, None)
        except ssl.SSLCertVerificationError as error:
            return await _untrusted(address, port, host, error)
        except ssl.SSLError as error:
            return TlsFacts(None, None, _failed(error))
        except ConnectionResetError:
            return TlsFacts(None, None, ("no_tls", "The server closed the connection during the TLS handshake."))
        except OSError:
            continue
    return None


async def _handshake(
    address: str, port: int, host: str, context: ssl.SSLContext, problem: ssl.SSLCertVerificationError | None
) -> TlsFacts:
    _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host)
    try:
        found = writer.get_extra_info("ssl_object")
        der = found.getpeercert(binary_form=True)
        certificate = _read(der) if der else None
        words = _explain(problem, certificate, host) if problem is not None else None
        return TlsFacts(found.version(), certificate, words)
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _untrusted(address: str, port: int, host: str, error: ssl.SSLCertVerificationError) -> TlsFacts:
    """A second handshake that trusts anything, only to read the certificate; nothing is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return await _handshake(address, port, host, context, error)
    except OSError:
        return TlsFacts(None, None, _explain(error, None, host))


def _read(der: bytes) -> Certificate | None:
    try:
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            subject=found.subject.rfc4514_string()[:300],
            issuer=found.issuer.rfc4514_string()[:300],
            names=_names(found)[:_MOST_NAMES],
            not_before=found.not_valid_before_utc,
            not_after=found.not_valid_after_utc,
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return [name[:255] for name in found.get_values_for_type(x509.DNSName)] + addresses


def _explain(error: ssl.SSLCertVerificationError, certificate: Certificate | None, host: str) -> tuple[str, str]:
    code = error.verify_code
    if code == _EXPIRED:
        when = f" on {certificate.not_after:%Y-%m-%d}" if certificate else ""
        return "certificate_expired", f"The certificate, or one above it, expired{when}. Renew it."
    if code == _NOT_YET:
        return "certificate_not_yet_valid", "The certificate is not valid yet. Look at the clock of its authority."
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        names = f"; it is for {', '.join(certificate.names[:5])}" if certificate and certificate.names else ""
        return "certificate_wrong_name", f"The certificate is not for {host}{names}."
    if code == _SELF_SIGNED:
        return "certificate_self_signed", "The certificate is signed by itself. Use one of a public authority."
    if code == _SELF_SIGNED_ROOT:
        return "certificate_private_authority", "The chain ends at an authority that is not publicly trusted."
    if code in (_NO_ISSUER, _NO_FIRST):
        issuer = f" ({certificate.issuer})" if certificate else ""
        return (
            "certificate_incomplete_chain",
            f"The certificate of the authority{issuer} is missing: the server does not send the chain between its own "
            "certificate and a publicly trusted one, or that authority is a private one.",
        )
    return "certificate_not_trusted", f"The certificate does not verify: {error.verify_message}."


def _failed(error: ssl.SSLError) -> tuple[str, str]:
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
        return "no_tls", "The server does not speak TLS on this port."
    if error.reason in ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"):
        return "tls_too_old", "The server offers only versions of TLS that are not safe any more; 1.2 is the least."
    reason = (error.reason or "unknown").replace("_", " ").lower()
    return "tls_failed", f"The TLS handshake failed: {reason}."
