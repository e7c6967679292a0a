"""The client certificate that an endpoint wants to be called with (mutual TLS): read, checked, described."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.clock import utcnow

MAX_PEM = 16_384
MAX_CHAIN = 5
LEAST_RSA_BITS = 2048

CERTIFICATE, KEY = "/client_certificate/certificate", "/client_certificate/private_key"


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What may be shown of a certificate. `fingerprint`: SHA-256 in hexadecimal."""

    subject: str
    issuer: str
    serial_number: str
    fingerprint: str
    not_before: datetime
    expires_at: datetime


class UnusableCertificate(ValueError):
    def __init__(self, *errors: FieldError) -> None:
        super().__init__(errors[0].detail)
        self.errors = errors


def describe(pem: str) -> CertificateInfo:
    """Of the first certificate in a PEM text that `check_certificate` has passed."""
    leaf = x509.load_pem_x509_certificates(pem.encode())[0]
    return CertificateInfo(
        subject=_name(leaf.subject),
        issuer=_name(leaf.issuer),
        serial_number=f"{leaf.serial_number:x}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        not_before=leaf.not_valid_before_utc,
        expires_at=leaf.not_valid_after_utc,
    )


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()[:500].replace("\0", "\ufffd")


def check_certificate(pem: str, key_pem: str) -> tuple[str, str]:
    """(certificate chain, private key) as clean PEM. Raises `UnusableCertificate`, whose errors never hold the key."""
    for text, pointer in ((pem, CERTIFICATE), (key_pem, KEY)):
        if len(text) > MAX_PEM:
            raise UnusableCertificate(FieldError(pointer, "too_long", f"PEM of at most {MAX_PEM} characters is taken."))
    chain = _chain(pem)
    leaf, key = chain[0], _key(key_pem)
    now = utcnow()
    if leaf.not_valid_after_utc <= now:
        when = leaf.not_valid_after_utc.date()
        raise UnusableCertificate(FieldError(CERTIFICATE, "expired", f"The certificate has expired on {when}."))
    if leaf.not_valid_before_utc > now + timedelta(days=1):
        when = leaf.not_valid_before_utc.date()
        raise UnusableCertificate(FieldError(CERTIFICATE, "not_yet_valid", f"The certificate is valid from {when} on."))
    if _public(key) != _spki(leaf):
        detail = "The private key does not belong to the first certificate. The endpoint's own certificate comes first."
        raise UnusableCertificate(FieldError(KEY, "key_mismatch", detail))
    certificate = "".join(item.public_bytes(serialization.Encoding.PEM).decode() for item in chain)
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate, plain.decode()


def _chain(pem: str) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        for item in chain:
            _name(item.subject), _name(item.issuer), _spki(item)
    except Exception:  # the parser has many ways to say no, and each of them is the caller's affair
        detail = "This is no certificate in PEM: -----BEGIN CERTIFICATE----- and what follows, intermediates behind it."
        raise UnusableCertificate(FieldError(CERTIFICATE, "invalid_certificate", detail)) from None
    if len(chain) > MAX_CHAIN:
        detail = f"A chain of at most {MAX_CHAIN} certificates is taken; leave out the root."
        raise UnusableCertificate(FieldError(CERTIFICATE, "too_many", detail))
    return chain


def _key(pem: str) -> PrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        detail = "The private key is encrypted; give it without a passphrase. It is sealed here."
        raise UnusableCertificate(FieldError(KEY, "encrypted_key", detail)) from None
    except Exception:  # as above
        detail = "This is no private key in PEM: -----BEGIN PRIVATE KEY----- and what follows."
        raise UnusableCertificate(FieldError(KEY, "invalid_key", detail)) from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < LEAST_RSA_BITS:
        detail = f"An RSA key has at least {LEAST_RSA_BITS} bits, this one {key.key_size}."
        raise UnusableCertificate(FieldError(KEY, "weak_key", detail))
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise UnusableCertificate(FieldError(KEY, "invalid_key", "Give an RSA, elliptic curve or Ed25519 key."))
    return key


def _public(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
