"""Return paths that prove themselves: ``b+TOKEN@bounces.example.com``.

A report that comes back to such an address is about the message that we sent with it: nobody who has not had that
message can make one up. A token is ``kind(1) | key id(1) | start of the organization's id(8) | id(16) | HMAC(12)`` in
base32 (RFC 4648 §6), in lower case, since systems on the way fold case; 63 octets of local part with the mark, where
RFC 5321 §4.5.3.1.1 allows 64. HMAC-SHA-256 cut to 96 bits (RFC 2104 §5).

Hot: one is made for each transaction.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from penguinmails_core.kit.crypto import SecretBox

MARK = "b+"
TOKEN_HEADER = "X-Report-Token"  # noqa: S105  (a name)
_MAC = 12
_BODY = 1 + 1 + 8 + 16
_CHARACTERS = -(-(_BODY + _MAC) * 8 // 5)  # 61
_PADDING = "=" * (-_CHARACTERS % 8)


class Kind(StrEnum):
    """Whom a token stands for. A message's serves where several recipients share a transaction."""

    RECIPIENT = "recipient"
    MESSAGE = "message"


_KINDS = {Kind.RECIPIENT: b"\x00", Kind.MESSAGE: b"\x01"}
_BY_BYTE = {value[0]: kind for kind, value in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Token:
    """`id` is the recipient's or the message's. `first` and `last` enclose the ids that the organization may have: the
    token has room for half of its id, and `id` is its own proof."""

    kind: Kind
    id: UUID
    first: UUID
    last: UUID


class Verp:
    """Makes and reads tokens. The first key of `box` makes them, all of them are believed, so a key that is replaced
    has to stay in the list as long as reports about old mail may come. `domain` is the return path's; without one it is
    the domain that the message is from."""

    def __init__(self, box: SecretBox, domain: str | None = None) -> None:
        self.domain = domain.lower() if domain else None
        self._keys = [(hashlib.sha256(key).digest()[:1], key) for key in box.derive("return path")]

    def token(self, kind: Kind, organization_id: UUID, resource_id: UUID) -> str:
        name, key = self._keys[0]
        body = _KINDS[kind] + name + organization_id.bytes[:8] + resource_id.bytes
        mac = hmac.digest(key, body, "sha256")[:_MAC]
        return base64.b32encode(body + mac)[:_CHARACTERS].decode().lower()

    def address(self, token: str, from_domain: str) -> str:
        """The envelope sender."""
        return f"{MARK}{token}@{self.domain or from_domain}"

    def read(self, token: str) -> Token | None:
        """None for what is no token of ours, was changed, or was made with a key that is gone."""
        if len(token) != _CHARACTERS or not token.isascii():
            return None
        try:
            raw = base64.b32decode(token.upper() + _PADDING)
        except binascii.Error:
            return None
        # The last character has a bit to spare: what differs in it only would be another name for the same token.
        if base64.b32encode(raw)[:_CHARACTERS].decode().lower() != token.lower():
            return None
        body, mac = raw[:_BODY], raw[_BODY:]
        kind = _BY_BYTE.get(body[0])
        if kind is None or not self._genuine(body, mac):
            return None
        start = body[2:10]
        return Token(kind, UUID(bytes=body[10:]), UUID(bytes=start + b"\x00" * 8), UUID(bytes=start + b"\xff" * 8))

    def read_address(self, address: str) -> Token | None:
        """The token of a return path, whatever its domain: it is the token that proves where it comes from."""
        local = address.rpartition("@")[0]
        return self.read(local[len(MARK) :]) if is_marked(local) else None

    def _genuine(self, body: bytes, mac: bytes) -> bool:
        return any(
            name == body[1:2] and hmac.compare_digest(hmac.digest(key, body, "sha256")[:_MAC], mac)
            for name, key in self._keys
        )


def is_marked(local: str) -> bool:
    """Whether a local part claims to be a return path of ours."""
    return local[: len(MARK)].lower() == MARK
