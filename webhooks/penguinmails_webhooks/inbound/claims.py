"""What a request claims, and whether it is true: the part that all schemes share.

A scheme reads a request into a `Claim`: which signatures were given, over which octets, made when. Whether one of them
was made with one of the secrets is decided here, once, in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from penguinmails_core.inbound.records import InboundRequest, Refused

TOLERANCE = 300  # seconds, of schemes that say when they signed
PLAIN = "plain"  # not a signature: the secret itself was sent
ED25519 = "ed25519"

_DIGITS = re.compile(r"[0-9]{1,15}\Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """`signatures`: (algorithm, octets); the algorithm is a hash for HMAC, `ed25519`, or `plain`. `signed`: what they
    are over. `timestamp`: Unix seconds, None where the scheme has none."""

    signatures: Sequence[tuple[str, bytes]]
    signed: bytes
    timestamp: float | None = None


Key = tuple[str, bytes]
"""(`hmac`, `ed25519` or `plain`; octets)"""


def proves(claim: Claim, keys: Sequence[Key]) -> bool:
    """Whether one signature fits one key. All are tried: the time taken must not tell which one did."""
    found = False
    for kind, key in keys:
        for algorithm, given in claim.signatures:
            if algorithm == PLAIN and kind == PLAIN:
                found |= hmac.compare_digest(hashlib.sha256(key).digest(), hashlib.sha256(given).digest())
            elif algorithm == ED25519 and kind == ED25519:
                found |= _signed_by(key, given, claim.signed)
            elif kind == "hmac" and algorithm not in (PLAIN, ED25519):
                found |= hmac.compare_digest(hmac.digest(key, claim.signed, algorithm), given)
    return found


def _signed_by(key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_age(timestamp: float, now: float, tolerance: float) -> None:
    """Raises `Refused` for what was signed too long ago, or ahead of our clock. Both are bounded: a sender with a wrong
    clock would otherwise make signatures that can be replayed for long."""
    age = now - timestamp
    if age > tolerance:
        raise Refused(
            "timestamp_too_old",
            f"signed {age:.0f} s ago, at most {tolerance:.0f} s are allowed: a replay, a slow way, or a wrong clock",
        )
    if age < -tolerance:
        raise Refused(
            "timestamp_too_new",
            f"signed {-age:.0f} s ahead of this server's clock, at most {tolerance:.0f} s are allowed",
        )


def header(request: InboundRequest, name: str) -> str:
    """Raises `Refused` when it is missing or empty."""
    value = request.headers.get(name.lower(), "")
    if not value:
        raise Refused("missing_header", f"the request has no {name} header; is the source's scheme the right one?")
    return value


def seconds(text: str, name: str, *, per_second: int = 1) -> float:
    """Unix time from canonical digits: what is signed is the text, so "+7" or " 7" must not pass for "7"."""
    if not _DIGITS.match(text) or str(int(text)) != text:
        raise Refused("malformed", f"{name} is not a whole number")
    return int(text) / per_second


def octets(text: str, encoding: str, name: str, size: int) -> bytes:
    """Raises `Refused` when it is not `size` octets in hex or base64."""
    try:
        value = bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Refused("malformed", f"{name} is not {encoding}") from None
    if len(value) != size or (encoding == "hex" and len(text) != 2 * size):
        raise Refused("malformed", f"{name} is {len(value)} octets long, not {size}: cut, or of another scheme")
    return value


def size_of(algorithm: str) -> int:
    return hashlib.new(algorithm).digest_size


def digest(*parts: bytes) -> str:
    """A key made of octets, where the sender names none."""
    found = hashlib.sha256()
    for part in parts:
        found.update(b"%d:" % len(part) + part)
    return found.hexdigest()


Reader = Callable[[InboundRequest, Mapping[str, Any]], Claim]
