"""Signatures of Standard Webhooks 1.0.0: who signs, what is signed, how it is checked.

Signed is ``{webhook-id}.{webhook-timestamp}.{body}``: with a shared secret (`v1`, HMAC-SHA256, ``whsec_...``) or with a
key pair (`v1a`, Ed25519: ``whsk_...`` signs, ``whpk_...`` verifies and is no secret). The header holds one or more
signatures with spaces between them, so that a secret can be replaced without a moment in which nobody can verify.
Source: the Standard Webhooks specification, "Verifying webhook authenticity" and "Signature scheme".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public part of every secret
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
_VERSION, _ASYMMETRIC = "v1", "v1a"
_SECRET_BYTES = 32
_SIGNATURE_BYTES = {_VERSION: 32, _ASYMMETRIC: 64}
_LEAST_BYTES, _MOST_BYTES = 24, 64  # the specification's bounds
_KEY_BYTES = 32


class SecretError(ValueError):
    """A signing secret or key that cannot be used. The message never holds the secret."""


class SignatureError(Exception):
    """A request that must not be trusted.

    `code`: missing_header, invalid_timestamp, timestamp_too_old, timestamp_too_new, invalid_signature (not one
    readable signature of a kind that the given secrets can check) or signature_mismatch (readable, and made with
    another secret, id, time or body).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def generate_secret() -> str:
    """``whsec_`` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def generate_key() -> str:
    """``whsk_`` and a new Ed25519 key in base64: 32 bytes of seed, then the public key."""
    key = Ed25519PrivateKey.generate()
    return PRIVATE_PREFIX + base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()


def public_key(key: str) -> str:
    """``whpk_...`` of a ``whsk_...``. Raises `SecretError`."""
    return PUBLIC_PREFIX + base64.b64encode(decode_key(key).public_key().public_bytes_raw()).decode()


def decode_secret(secret: str) -> bytes:
    """The key inside a shared secret, with or without the `whsec_` prefix.

    Raises `SecretError` when the rest is not base64 of 24 to 64 bytes.
    """
    key = _base64(secret.removeprefix(SECRET_PREFIX), f"a webhook secret is {SECRET_PREFIX} followed by base64")
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise SecretError(f"a webhook secret holds {_LEAST_BYTES} to {_MOST_BYTES} bytes, this one {len(key)}")
    return key


def decode_key(key: str) -> Ed25519PrivateKey:
    """The key inside ``whsk_...``: 32 bytes of seed, with or without the public key behind them.

    Raises `SecretError` for other sizes, or when the two halves do not belong together.
    """
    raw = _base64(key.removeprefix(PRIVATE_PREFIX), f"a signing key is {PRIVATE_PREFIX} followed by base64")
    if len(raw) not in (_KEY_BYTES, 2 * _KEY_BYTES):
        raise SecretError(f"an Ed25519 signing key holds 32 or 64 bytes, this one {len(raw)}")
    found = Ed25519PrivateKey.from_private_bytes(raw[:_KEY_BYTES])
    if len(raw) > _KEY_BYTES and found.public_key().public_bytes_raw() != raw[_KEY_BYTES:]:
        raise SecretError("the two halves of this signing key do not belong together")
    return found


def _decode_public(key: str) -> Ed25519PublicKey:
    raw = _base64(key.removeprefix(PUBLIC_PREFIX), f"a public key is {PUBLIC_PREFIX} followed by base64")
    if len(raw) != _KEY_BYTES:
        raise SecretError(f"an Ed25519 public key holds {_KEY_BYTES} bytes, this one {len(raw)}")
    return Ed25519PublicKey.from_public_bytes(raw)


def sign(secrets: Sequence[str], msg_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one ``v1,<base64>`` for each shared secret and one ``v1a,<base64>`` for each
    ``whsk_`` key, in their order.

    `timestamp` is in Unix seconds and must be the one that is sent. Raises `SecretError` for an unusable secret, or
    when there is none.
    """
    if not secrets:
        raise SecretError("signing needs at least one secret")
    content = b"%s.%d.%s" % (msg_id.encode(), timestamp, body)
    return " ".join(_signature(secret, content) for secret in secrets)


def _signature(secret: str, content: bytes) -> str:
    if secret.startswith(PRIVATE_PREFIX):
        return f"{_ASYMMETRIC},{base64.b64encode(decode_key(secret).sign(content)).decode()}"
    return f"{_VERSION},{base64.b64encode(_digest(secret, content)).decode()}"


def signed_headers(secrets: Sequence[str], msg_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed request."""
    return {
        ID_HEADER: msg_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secrets, msg_id, timestamp, body),
    }


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: int = 300,
    now: float | None = None,
) -> None:
    """Returns when one of the signatures was made with one of the secrets, at most `tolerance` seconds ago or ahead.

    `secrets`: shared ones (``whsec_...``) and public keys (``whpk_...``). `headers` in any case; `body` exactly as
    received, before any parsing; `now` in Unix seconds.
    Raises `SignatureError` for a request not to be trusted, `SecretError` for an unusable secret.
    """
    if not secrets:
        raise SecretError("verifying needs at least one secret")
    found = {name.lower(): value for name, value in headers.items()}
    for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER):
        if not found.get(name):
            raise SignatureError("missing_header", f"the request has no {name} header")
    timestamp = _timestamp(found[TIMESTAMP_HEADER])
    _check_age(timestamp, time.time() if now is None else now, tolerance)
    given = _signatures(found[SIGNATURE_HEADER], {_version_of(secret) for secret in secrets})
    content = b"%s.%d.%s" % (found[ID_HEADER].encode(), timestamp, body)
    matched = False
    for secret in secrets:
        for version, signature in given:  # no early exit: the time taken must not tell which one matched
            if version == _version_of(secret):
                matched |= _fits(secret, content, signature)
    if not matched:
        raise SignatureError(
            "signature_mismatch",
            "no signature fits this secret and body; use the endpoint's own secret and the body as received",
        )


def _version_of(secret: str) -> str:
    if secret.startswith(PRIVATE_PREFIX):
        raise SecretError(f"a receiver verifies with the public key ({PUBLIC_PREFIX}...), not with the signing key")
    return _ASYMMETRIC if secret.startswith(PUBLIC_PREFIX) else _VERSION


def _fits(secret: str, content: bytes, signature: bytes) -> bool:
    if secret.startswith(PUBLIC_PREFIX):
        try:
            _decode_public(secret).verify(signature, content)
        except InvalidSignature:
            return False
        return True
    return hmac.compare_digest(_digest(secret, content), signature)


def _digest(secret: str, content: bytes) -> bytes:
    return hmac.digest(decode_secret(secret), content, "sha256")


def _base64(text: str, advice: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(advice) from None


def _timestamp(value: str) -> int:
    # Canonical digits only: what is signed is the text, so " 7" or "+7" must not pass for "7".
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and str(int(value)) == value):
        raise SignatureError("invalid_timestamp", f"{TIMESTAMP_HEADER} is not a whole number of Unix seconds")
    return int(value)


def _check_age(timestamp: int, now: float, tolerance: int) -> None:
    age = now - timestamp
    if age > tolerance:
        raise SignatureError("timestamp_too_old", f"signed {age:.0f} s ago, at most {tolerance} s are allowed")
    if age < -tolerance:
        raise SignatureError("timestamp_too_new", f"signed {-age:.0f} s ahead, at most {tolerance} s are allowed")


def _signatures(header: str, versions: set[str]) -> list[tuple[str, bytes]]:
    """The readable signatures of these versions. Others are passed over, as the specification asks of receivers."""
    found = []
    for part in header.split(" "):
        version, _, text = part.partition(",")
        if version not in versions:
            continue
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(signature) == _SIGNATURE_BYTES[version]:
            found.append((version, signature))
    if not found:
        known = " or ".join(sorted(versions))
        raise SignatureError("invalid_signature", f"{SIGNATURE_HEADER} holds no {known} signature in base64")
    return found
