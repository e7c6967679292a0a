"""Secrets at rest: AES-256-GCM with rotating keys, and the format of API keys.

A sealed value is ``version(1) | key id(4) | nonce(12) | ciphertext and tag``. The key id is the start of the key's
SHA-256, so that old values stay readable while the first key of the list seals new ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import zlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penguinmails_core.kit.tokens import TokenBox

_VERSION = b"\x01"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class CryptoError(Exception):
    """A sealed value cannot be opened, or a key of the configuration is malformed."""


class SecretBox:
    """Seals and opens small secrets (DKIM keys, webhook secrets).

    `context` is authenticated but not stored (for example ``b"domain_keys:" + id``), so that a sealed value copied to
    another row does not open there.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise CryptoError("no encryption key is configured: set PENGUINMAILS_SECRET_KEYS")
        if any(len(key) != 32 for key in keys):
            raise CryptoError("each key in PENGUINMAILS_SECRET_KEYS must be 32 bytes in base64")
        self._keys = tuple(keys)
        self._ciphers = {hashlib.sha256(key).digest()[:4]: AESGCM(key) for key in keys}
        self._current = hashlib.sha256(keys[0]).digest()[:4]

    def tokens(self, purpose: str) -> TokenBox:
        """For links in mail, with keys derived from these."""
        return TokenBox(self._keys, purpose)

    def derive(self, purpose: str) -> list[bytes]:
        """A 32-byte key for `purpose` from each key, the newest first: what is done with it cannot touch what is sealed
        at rest (RFC 5869)."""
        info = b"penguinmails derived " + purpose.encode()
        return [HKDF(SHA256(), 32, salt=None, info=info).derive(key) for key in self._keys]

    def seal(self, plain: bytes, context: bytes) -> bytes:
        nonce = os.urandom(12)
        return _VERSION + self._current + nonce + self._ciphers[self._current].encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises `CryptoError` when the key is gone, or the value or its context was changed."""
        if len(sealed) < 33 or sealed[:1] != _VERSION:
            raise CryptoError("not a sealed value")
        cipher = self._ciphers.get(sealed[1:5])
        if cipher is None:
            raise CryptoError("the key that sealed this value is not in PENGUINMAILS_SECRET_KEYS any more")
        try:
            return cipher.decrypt(sealed[5:17], sealed[17:], context)
        except InvalidTag:
            raise CryptoError("the sealed value was changed or belongs to another row") from None


def new_secret_key() -> str:
    """A fresh 256-bit key in base64, as `PENGUINMAILS_SECRET_KEYS` wants it."""
    return base64.b64encode(os.urandom(32)).decode()


def parse_secret_keys(text: str) -> list[bytes]:
    """Comma-separated base64 keys, the newest first. Raises `CryptoError` naming the position, never the key."""
    keys = []
    for position, part in enumerate(filter(None, (item.strip() for item in text.split(","))), start=1):
        try:
            keys.append(base64.b64decode(part, validate=True))
        except binascii.Error:
            raise CryptoError(f"key {position} of PENGUINMAILS_SECRET_KEYS is not base64") from None
    return keys


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def new_api_key(mode: str) -> str:
    """``pm_live_`` or ``pm_test_``, 32 random base62 characters (190 bits) and a 6-character CRC-32.

    The checksum lets secret scanners tell a real key from noise without asking the server.
    """
    head = f"pm_{mode}_" + "".join(secrets.choice(_BASE62) for _ in range(32))
    return head + _base62(zlib.crc32(head.encode()), 6)


def api_key_well_formed(key: str) -> bool:
    """True when prefix, length and checksum agree; costs no database look-up."""
    return (
        len(key) == 46
        and key.startswith(("pm_live_", "pm_test_"))
        and _base62(zlib.crc32(key[:-6].encode()), 6) == key[-6:]
    )


def hash_api_key(key: str) -> bytes:
    """SHA-256. A slow hash would add nothing: the key holds 190 random bits."""
    return hashlib.sha256(key.encode()).digest()
