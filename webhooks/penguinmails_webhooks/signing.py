"""Signatures of Standard Webhooks 1.0.0 (symmetric, `v1`): who signs, what is signed, how it is checked.

Signed is ``{webhook-id}.{webhook-timestamp}.{body}`` with HMAC-SHA256. The header holds one or more signatures with
spaces between them, so that a secret can be replaced without a moment in which nobody can verify.
Source: the Standard Webhooks specification, "Verifying webhook authenticity" and "Signature scheme".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Mapping, Sequence

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public part of every secret
_VERSION = "v1"
_SECRET_BYTES = 32
_DIGEST_BYTES = 32
_LEAST_BYTES, _MOST_BYTES = 24, 64  # the specification's bounds


class SecretError(ValueError):
    """A signing secret that cannot be used. The message never holds the secret."""


class SignatureError(Exception):
    """A request that must not be trusted.

    `code`: missing_header, invalid_timestamp, timestamp_too_old, timestamp_too_new, invalid_signature (not one
    readable `v1` signature) or signature_mismatch (readable, and made with another secret, id, time or body).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def generate_secret() -> str:
    """``whsec_`` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def decode_secret(secret: str) -> bytes:
    """The key inside a secret, with or without the `whsec_` prefix.

    Raises `SecretError` when the rest is not base64 of 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("a webhook secret is whsec_ followed by base64") from None
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise SecretError(f"a webhook secret holds {_LEAST_BYTES} to {_MOST_BYTES} bytes, this one {len(key)}")
    return key


def sign(secrets: Sequence[str], msg_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one ``v1,<base64>`` for each secret, in their order.

    `timestamp` is in Unix seconds and must be the one that is sent. Raises `SecretError` for an unusable secret, or
    when there is none.
    """
    if not secrets:
        raise SecretError("signing needs at least one secret")
    content = b"%s.%d.%s" % (msg_id.encode(), timestamp, body)
    return " ".join(f"{_VERSION},{base64.b64encode(_digest(secret, content)).decode()}" for secret in secrets)


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

    `headers` in any case; `body` exactly as received, before any parsing; `now` in Unix seconds.
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
    given = _signatures(found[SIGNATURE_HEADER])
    content = b"%s.%d.%s" % (found[ID_HEADER].encode(), timestamp, body)
    matched = False
    for secret in secrets:
        expected = _digest(secret, content)
        for signature in given:  # no early exit: the time taken must not tell which one matched
            matched |= hmac.compare_digest(expected, signature)
    if not matched:
        raise SignatureError(
            "signature_mismatch",
            "no signature fits this secret and body; use the endpoint's own secret and the body as received",
        )


def _digest(secret: str, content: bytes) -> bytes:
    return hmac.digest(decode_secret(secret), content, "sha256")


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


def _signatures(header: str) -> list[bytes]:
    """The readable `v1` signatures. Other versions are passed over, as the specification asks of receivers."""
    found = []
    for part in header.split(" "):
        version, _, text = part.partition(",")
        if version != _VERSION:
            continue
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(signature) == _DIGEST_BYTES:
            found.append(signature)
    if not found:
        raise SignatureError("invalid_signature", f"{SIGNATURE_HEADER} holds no v1 signature in base64")
    return found
