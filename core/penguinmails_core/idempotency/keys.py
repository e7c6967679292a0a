"""What makes two requests the same: the Idempotency-Key and the fingerprint.

Modelled on draft-ietf-httpapi-idempotency-key-header-07. The fingerprint covers the real path, so that one key used
for `/emails/A/cancel` never answers for `/emails/B/cancel`.
"""

from __future__ import annotations

import hashlib

from penguinmails_core.errors import InvalidIdempotencyKey

MAX_CHARACTERS = 255
HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"

_VISIBLE_ASCII = bytes(range(0x21, 0x7F))


def parse_key(value: bytes) -> str:
    """The key of a header value: 1 to 255 visible ASCII characters.

    Raises `InvalidIdempotencyKey`.
    """
    # `translate` drops the allowed characters, so anything left over is not allowed; no regex on the hot path.
    if not 0 < len(value) <= MAX_CHARACTERS or value.translate(None, _VISIBLE_ASCII):
        raise InvalidIdempotencyKey(
            f"{HEADER} must be 1 to {MAX_CHARACTERS} visible ASCII characters without spaces "
            f"(it has {len(value)} bytes). A UUID is a good choice."
        )
    return value.decode("ascii")


def fingerprint(method: str, path: str, query: bytes, body: bytes) -> bytes:
    """SHA-256 (32 bytes) of what was asked. `path` is the path as requested, never the route's template."""
    head = f"{method} {path}".encode("utf-8", "surrogateescape")
    # Lengths go first, so that no two requests can be cut into the same bytes.
    digest = hashlib.sha256(b"%d %d " % (len(head), len(query)))
    digest.update(head)
    digest.update(query)
    digest.update(body)
    return digest.digest()
