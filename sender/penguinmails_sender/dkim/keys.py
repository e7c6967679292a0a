"""DKIM keys: RSA-2048 (every receiver checks it) and Ed25519 (short and fast; RFC 8463, not yet checked everywhere)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

Algorithm = Literal["rsa", "ed25519"]

RSA_BITS = 2048  # RFC 8301 §3.2: at least 1024, should be 2048; more does not fit one UDP answer
_MIN_RSA_BITS = 1024
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
                   r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*").fullmatch  # fmt: skip


class DkimKeyError(ValueError):
    """The key, selector or domain cannot be used for DKIM. Never echoes key material."""


class DkimKey:
    """A private key with the place where its public half is published (`selector._domainkey.domain`).

    `sign_data(octets)` gives the signature of the canonical header octets: RSASSA-PKCS1-v1_5 over their SHA-256, or
    Ed25519 over their SHA-256 digest (RFC 8463 §3).
    """

    __slots__ = ("_private", "algorithm", "domain", "prefix", "selector", "sign_data")

    def __init__(self, private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, selector: str, domain: str) -> None:
        """Raises DkimKeyError: selector or domain (A-labels) is not a DNS name, or the key is too short."""
        for value, what in ((selector, "selector"), (domain, "domain")):
            if _NAME(value) is None:
                raise DkimKeyError(f"{what}: give a DNS name in ASCII (A-labels), such as s1 or example.com")
        self._private = private
        self.selector = selector
        self.domain = domain.lower()
        self.algorithm: Algorithm
        self.sign_data: Callable[[bytes], bytes]
        if isinstance(private, rsa.RSAPrivateKey):
            if private.key_size < _MIN_RSA_BITS:
                raise DkimKeyError(f"the RSA key has {private.key_size} bits; receivers refuse less than 1024 bits")
            self.algorithm = "rsa"
            self.sign_data = _rsa_signer(private)
        else:
            self.algorithm = "ed25519"
            self.sign_data = _ed25519_signer(private)
        # The tags that never change, with their line breaks.
        self.prefix = (
            f"v=1; a={self.algorithm}-sha256; c=relaxed/relaxed;\r\n d={self.domain}; s={selector};\r\n t="
        ).encode()

    @classmethod
    def generate(cls, algorithm: Algorithm, *, selector: str, domain: str) -> DkimKey:
        """A new key; RSA takes some tenths of a second. Raises DkimKeyError."""
        private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
        if algorithm == "rsa":
            private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        elif algorithm == "ed25519":
            private = ed25519.Ed25519PrivateKey.generate()
        else:
            raise DkimKeyError(f"algorithm: {algorithm!r} is neither rsa nor ed25519")
        return cls(private, selector, domain)

    @classmethod
    def from_private(cls, der: bytes, selector: str, domain: str) -> DkimKey:
        """Read `private_der`'s answer back: PKCS #8, DER, not encrypted. Raises DkimKeyError."""
        try:
            private = serialization.load_der_private_key(der, password=None)
        except (ValueError, TypeError):
            raise DkimKeyError("the private key is not unencrypted PKCS #8 in DER") from None
        if not isinstance(private, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise DkimKeyError("the private key is neither RSA nor Ed25519")
        return cls(private, selector, domain)

    def private_der(self) -> bytes:
        """PKCS #8, DER, unencrypted: a secret, to be sealed before it is stored."""
        return self._private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def record_name(self) -> str:
        """Where the TXT record goes."""
        return f"{self.selector}._domainkey.{self.domain}"

    def public_record(self) -> str:
        """The TXT value, one string; a zone file splits it at 255 octets. RSA keys as SubjectPublicKeyInfo (RFC 6376
        §3.6.1 as amended), Ed25519 as the bare 32 octets (RFC 8463 §4.2)."""
        public = self._private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            octets = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k={self.algorithm}; p={b64encode(octets).decode()}"

    def __repr__(self) -> str:
        return f"DkimKey({self.algorithm}, {self.record_name()})"


def _rsa_signer(private: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    scheme, digest, sign = padding.PKCS1v15(), hashes.SHA256(), private.sign
    return lambda data: sign(data, scheme, digest)


def _ed25519_signer(private: ed25519.Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    sign = private.sign
    return lambda data: sign(sha256(data).digest())
