"""Which report a mail is, however often and by whichever way it comes."""

from __future__ import annotations

import hashlib

# What systems on the way put in front (RFC 5321 §4.4, RFC 8601, and common practice).
_TRACE = (
    b"received:",
    b"return-path:",
    b"delivered-to:",
    b"x-original-to:",
    b"envelope-to:",
    b"authentication-results:",
    b"received-spf:",
    b"x-received:",
)


def digest(raw: bytes) -> bytes:
    """SHA-256 of the mail without trace fields."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    kept: list[bytes] = []
    skipping = False
    for line in head.split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            skipping = line.lower().startswith(_TRACE)
        if not skipping:
            kept.append(line)
    return hashlib.sha256(b"\r\n".join(kept) + separator + body).digest()
