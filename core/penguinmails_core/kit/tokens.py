"""Tokens that stand in links of mail: short, unreadable, unforgeable, and the same each time for the same content.

AES-SIV (RFC 5297) needs no nonce: a message that is sent again has the octets that it had. Whoever holds a token learns
nothing from it, not even whose it is, and a changed one does not open. A token is
``key id(2) | synthetic IV and tag(16) | ciphertext`` in base64url (RFC 4648 §5) without padding: 24 characters more
than what is in it takes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAX_TOKEN = 1024
_ID = 2
_LEAST = _ID + 16 + 1


class TokenBox:
    """Tokens of one purpose (``"unsubscribe"``); those of another do not open. The first of `keys` makes tokens, all of
    them open: a key that is replaced must stay in the list as long as links in old mail shall work."""

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        self._ciphers: list[tuple[bytes, AESSIV]] = []
        for key in keys:
            # A key of its own, so that nothing that is done with tokens can touch what is sealed at rest.
            derived = HKDF(SHA256(), 32 + _ID, salt=None, info=b"penguinmails token " + purpose.encode()).derive(key)
            self._ciphers.append((hashlib.sha256(derived).digest()[:_ID], AESSIV(derived[:32])))

    def seal(self, content: bytes) -> str:
        """`content` must not be empty."""
        name, cipher = self._ciphers[0]
        return base64.urlsafe_b64encode(name + cipher.encrypt(content, None)).decode().rstrip("=")

    def open(self, token: str) -> bytes | None:
        """None for what is no token of ours, was changed, or was made with a key that is gone."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        if len(raw) < _LEAST:
            return None
        for name, cipher in self._ciphers:
            if name == raw[:_ID]:
                try:
                    return cipher.decrypt(raw[_ID:], None)
                except InvalidTag:
                    continue
        return None
