"""Proof of possession (RFC 9449): a token that is bound to a key is worth nothing to who steals it."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS = ("ES256", "PS256", "RS256")
WINDOW = 60  # seconds that a proof may be old, or ahead of our clock
MAX_LENGTH = 4096
_MAX_JTI = 200
_MIN_RSA_BITS = 2048


class InvalidProof(Exception):
    """The message says what is wrong, for whoever made the proof."""


@dataclass(frozen=True, slots=True)
class Proof:
    """`jkt`: thumbprint of the key (RFC 7638). `once`: names this proof; it may be shown once while it is fresh."""

    jkt: str
    once: bytes


def read_proof(proof: str, method: str, urls: Collection[str], access_token: str | None = None) -> Proof:
    """`urls`: this request's URL without query, by each name of ours. `access_token`: what it is shown with, at a
    resource. Raises `InvalidProof` (§4.3)."""
    header = _header(proof)
    key = _key(header)
    try:
        claims = jwt.decode(proof, key, algorithms=[header["alg"]]).claims
    except (JoseError, ValueError):
        raise InvalidProof("The proof's signature is wrong.") from None
    issued, jti = claims.get("iat"), claims.get("jti")
    if claims.get("htm") != method or str(claims.get("htu", "")).partition("?")[0].partition("#")[0] not in urls:
        raise InvalidProof("The proof is for another request (htm, htu).")
    if isinstance(issued, bool) or not isinstance(issued, int | float) or abs(issued - time.time()) > WINDOW:
        raise InvalidProof("The proof is not fresh (iat).")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        raise InvalidProof("The proof has no usable jti.")
    if access_token is not None and claims.get("ath") != _hash(access_token):
        raise InvalidProof("The proof is for another access token (ath).")
    jkt = key.thumbprint()
    return Proof(jkt, sha256(f"{jkt} {jti}".encode()).digest())


def _header(proof: str) -> dict[str, Any]:
    head = proof.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        header = None
    if len(proof) > MAX_LENGTH or not isinstance(header, dict) or header.get("typ") != "dpop+jwt":
        raise InvalidProof("The DPoP header is not a proof: its typ must be dpop+jwt.")
    if header.get("alg") not in ALGORITHMS or not isinstance(header.get("jwk"), dict) or "crit" in header:
        raise InvalidProof(f"The proof must name its key (jwk) and be signed with one of {', '.join(ALGORITHMS)}.")
    return header


def _key(header: dict[str, Any]) -> ECKey | RSAKey:
    jwk = header["jwk"]
    if {"d", "p", "q", "k"} & set(jwk):
        raise InvalidProof("The proof holds a private key.")
    try:
        key = ECKey.import_key(jwk) if header["alg"] == "ES256" else RSAKey.import_key(jwk)
    except (JoseError, ValueError, KeyError, TypeError):
        raise InvalidProof("The key of the proof cannot be used.") from None
    if isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS:
        raise InvalidProof(f"The key of the proof has fewer than {_MIN_RSA_BITS} bits.")
    return key


def _hash(access_token: str) -> str:
    return base64.urlsafe_b64encode(sha256(access_token.encode()).digest()).rstrip(b"=").decode()
