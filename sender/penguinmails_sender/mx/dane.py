"""DANE for SMTP (RFC 7672): certificates pinned in DNS. Counts only where DNSSEC vouches for every step.

Of the certificate usages only 2 (a trust anchor) and 3 (the server's own) mean anything for mail (§3.1.3).
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from penguinmails_core.kit.dns import Tlsa

_TRUST_ANCHOR, _END_ENTITY = 2, 3
_MOST_IN_CHAIN = 10
_HASHES = {1: hashlib.sha256, 2: hashlib.sha512}
_LENGTHS = {1: 32, 2: 64}


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that say something about a mail server; others are as if they were not there (RFC 7672 §3.1)."""
    return tuple(
        record
        for record in records
        if record.usage in (_TRUST_ANCHOR, _END_ENTITY)
        and record.selector in (0, 1)
        and record.matching in (0, 1, 2)
        and len(record.data) == _LENGTHS.get(record.matching, len(record.data) or 1)
    )


def check_chain(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str]) -> str | None:
    """Why what the server shows (DER, its own certificate first) is none of `records`, or None when it is.

    An end-entity match ignores names and dates (§3.1.1); below a trust anchor the certificate has to name the server
    (`names`: any of them will do) and every link has to hold and be valid now (§3.1.2).
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain[:_MOST_IN_CHAIN]]
    except ValueError:
        return "the server's certificate cannot be read"
    if not certificates:
        return "the server shows no certificate"
    if any(record.usage == _END_ENTITY and _matches(certificates[0], record) for record in records):
        return None
    anchors = [record for record in records if record.usage == _TRUST_ANCHOR]
    for depth, certificate in enumerate(certificates):
        if any(_matches(certificate, record) for record in anchors):
            return _broken_link(certificates[: depth + 1], names)
    return "the server's certificate is not the one that its DANE records name"


def _matches(certificate: x509.Certificate, record: Tlsa) -> bool:
    if record.selector == 0:
        octets = certificate.public_bytes(Encoding.DER)
    else:
        octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = _HASHES.get(record.matching)
    return (digest(octets).digest() if digest else octets) == record.data


def _broken_link(chain: Sequence[x509.Certificate], names: Sequence[str]) -> str | None:
    now = datetime.now(UTC)
    for certificate in chain:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return "a certificate of the server has expired or is not valid yet"
    for certificate, issuer in pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
            if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return "an issuer of the server's certificate is no authority"
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return "the server's certificate was not issued by the one after it"
    if not any(_named(chain[0], name) for name in names):
        return "the server's certificate is for another name"
    return None


def _named(certificate: x509.Certificate, host: str) -> bool:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return False
    known = {name.lower().rstrip(".") for name in extension.value.get_values_for_type(x509.DNSName)}
    return host in known or "*." + host.partition(".")[2] in known


def shown_chain(connection: ssl.SSLObject | ssl.SSLSocket) -> list[bytes]:
    """Every certificate that the peer showed, DER. Python has a public name for it since 3.13 only; without any the
    peer's own certificate is all that can be looked at, and trust anchors never match."""
    inner: Any = getattr(connection, "_sslobj", connection)
    ask = getattr(connection, "get_unverified_chain", None) or getattr(inner, "get_unverified_chain", None)
    if ask is not None and (found := ask()):
        return [item if isinstance(item, bytes) else ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in found]
    own = connection.getpeercert(binary_form=True)
    return [own] if own else []
