"""TypeIDs: a prefix that names the resource, and a time-sortable UUIDv7 in base32.

``msg_01h455vb4pex5vsknk084sn02q`` outside, the plain 16-byte UUID in the database.
Rules: the TypeID specification 0.3 (Crockford base32, lower case, 26 characters) and RFC 9562 §5.7 (UUIDv7).
"""

from __future__ import annotations

import os
import time
from enum import StrEnum
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Three characters at a time: 9 table look-ups instead of 26 divisions; ids are made on the hottest path.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_TRIPLES = [pair + c for pair in _PAIRS for c in _ALPHABET]
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
# Version and variant of a UUID (RFC 9562 §4.1, §4.2) laid over a random octet.
_VERSION_4 = [bytes((octet & 0x0F | 0x40,)) for octet in range(256)]
_VERSION_7 = [bytes((octet & 0x0F | 0x70,)) for octet in range(256)]
_VARIANT = [bytes((octet & 0x3F | 0x80,)) for octet in range(256)]


class Prefix(StrEnum):
    """The prefixes in use, one for each kind of resource."""

    ORGANIZATION = "org"
    WORKSPACE = "ws"
    USER = "usr"
    MEMBER = "mem"
    INVITATION = "inv"
    ROLE = "rol"
    SESSION = "ses"
    PASSKEY = "psk"
    SSO_CONNECTION = "sso"
    SCIM_TOKEN = "sct"  # noqa: S105  (a prefix)
    OAUTH_APP = "app"
    OAUTH_GRANT = "gra"
    AUDIT_LOG = "aud"
    API_KEY = "key"
    DOMAIN = "dom"
    MAILBOX = "mbx"
    THREAD = "thr"
    EMAIL = "msg"
    RECIPIENT = "rcp"
    ATTACHMENT = "att"
    ATTEMPT = "atm"
    EVENT = "evt"
    SUPPRESSION = "sup"
    TOPIC = "top"
    QUOTA = "quo"
    WEBHOOK_ENDPOINT = "whe"
    WEBHOOK_SECRET = "whs"  # noqa: S105  (a prefix)
    WEBHOOK_DELIVERY = "whd"
    WEBHOOK_ATTEMPT = "wha"
    INBOUND_SOURCE = "ins"
    INBOUND_MESSAGE = "inm"
    WEBHOOK_PORTAL_LINK = "whl"
    WEBHOOK_REPLAY = "whr"
    REQUEST = "req"
    BOUNCE_REPORT = "brp"
    TEMPLATE = "tpl"
    TEMPLATE_VERSION = "tpv"
    LANE = "lan"
    LANE_DECISION = "lde"


class IdError(ValueError):
    """An id that is not well formed or has the wrong prefix."""


class _Entropy:
    """Random octets from the system, fetched 4 KB at a time: one system call per id was a seventh of an accept.

    A forked child drops what it inherited, so that two processes never hand out the same octets.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._next = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._next = len(self._pool)

    def take(self) -> bytes:
        """16 fresh octets."""
        start = self._next
        if start >= len(self._pool):
            self._pool, start = os.urandom(4096), 0
        self._next = start + 16
        return self._pool[start : start + 16]


_entropy = _Entropy().take


def new_uuid() -> UUID:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    return uuid_at(time.time_ns() // 1_000_000)


def uuid_at(milliseconds: int) -> UUID:
    """A UUIDv7 for the given Unix time in milliseconds.

    The database driver's own UUID class (a `uuid.UUID` to every `isinstance`) is made and sent several times faster.
    """
    random = _entropy()
    uuid: UUID = FastUUID(
        milliseconds.to_bytes(6, "big") + _VERSION_7[random[0]] + random[1:2] + _VARIANT[random[2]] + random[3:10]
    )
    return uuid


def next_uuid(uuid: UUID) -> UUID:
    """The UUIDv7 right after `uuid` (RFC 9562 §6.2, method 2), for what is made together with its owner: a fifth of the
    price of a new one, and neighbours in every index. At the end of the counter, once in 2^62, a new one."""
    octets = uuid.bytes
    if octets[8:] == b"\xbf" + b"\xff" * 7:
        return new_uuid()
    following: UUID = FastUUID(octets[:8] + (int.from_bytes(octets[8:], "big") + 1).to_bytes(8, "big"))
    return following


def random_uuid() -> UUID:
    """122 random bits (RFC 9562 §5.4), for names that must not tell when they were made."""
    random = _entropy()
    uuid: UUID = FastUUID(random[:6] + _VERSION_4[random[6]] + random[7:8] + _VARIANT[random[8]] + random[9:])
    return uuid


def encode(prefix: str, value: UUID) -> str:
    """``encode("msg", uuid) -> "msg_01h4…"``."""
    n, t = value.int, _TRIPLES
    return (
        f"{prefix}_{_PAIRS[n >> 120]}{t[n >> 105 & 32767]}{t[n >> 90 & 32767]}{t[n >> 75 & 32767]}{t[n >> 60 & 32767]}"
        f"{t[n >> 45 & 32767]}{t[n >> 30 & 32767]}{t[n >> 15 & 32767]}{t[n & 32767]}"
    )


def decode(prefix: str, text: str) -> UUID:
    """The UUID inside a TypeID.

    Raises `IdError` when the prefix differs or the rest is not 26 base32 characters of at most 128 bits.
    """
    head, separator, tail = text.rpartition("_")
    if not separator or head != prefix:
        raise IdError(f"expected an id that starts with {prefix}_")
    if len(tail) != 26 or tail[0] > "7":
        raise IdError(f"an id is {prefix}_ and 26 characters, the first of them 0 to 7")
    number = 0
    try:
        for character in tail:
            number = (number << 5) | _VALUES[character]
    except KeyError:
        raise IdError("an id uses the characters 0-9 and a-z without i, l, o and u") from None
    uuid: UUID = FastUUID(number.to_bytes(16, "big"))
    return uuid
