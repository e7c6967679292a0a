"""Which site this server is, to browsers: its origin, the names that count as the same, and the passkey domain."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from penguinmails_core.config import public_origin

_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """`base` is an origin such as ``https://mail.example.com``; links are made from it. `origins` are those that
    browsers may name. `rp_id` is the domain that passkeys are bound to."""

    base: str
    origins: frozenset[str]
    rp_id: str
    secure: bool
    local: bool

    @classmethod
    def of(cls, text: str) -> PublicUrl:
        """Raises `ValueError` for what is not an origin. On a loopback address both of its usual names count, since
        nobody else can be meant; passkeys know only `localhost` (WebAuthn takes no IP addresses)."""
        base = public_origin(text)
        parts = urlsplit(base)
        host = parts.hostname or ""
        if not is_loopback(host):
            return cls(base, frozenset((base,)), host, parts.scheme == "https", local=False)
        port = f":{parts.port}" if parts.port else ""
        origins = frozenset((base, *(f"{parts.scheme}://{name}{port}" for name in _LOOPBACK)))
        return cls(base, origins, "localhost", parts.scheme == "https", local=True)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
