"""Where to connect, how long to wait, how many connections to keep."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class TlsPolicy(StrEnum):
    OFF = "off"
    OPPORTUNISTIC = "opportunistic"  # STARTTLS when offered, certificate not checked; plain text otherwise (RFC 7435)
    ENCRYPTED = "encrypted"  # STARTTLS or nothing is sent; the certificate is not checked
    REQUIRED = "required"  # STARTTLS with a verified certificate, or nothing is sent
    IMPLICIT = "implicit"  # TLS from the first octet with a verified certificate (RFC 8314)

    @property
    def verified(self) -> bool:
        return self in (TlsPolicy.REQUIRED, TlsPolicy.IMPLICIT)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait in each phase; the defaults are the minima of RFC 5321 §4.5.3.2 (connect, tls and quit: ours)."""

    connect: float = 30.0
    tls: float = 30.0  # handshake
    greeting: float = 300.0
    command: float = 300.0  # EHLO, AUTH, STARTTLS, MAIL, RCPT, RSET
    data: float = 120.0  # for the 354
    block: float = 180.0  # for the server to take a block of the message
    final: float = 600.0  # for the answer to the final dot
    quit: float = 5.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """For one destination. `messages` is per connection; `idle` in seconds: servers close silent connections after a
    while, so we do it first."""

    connections: int = 20
    messages: int = 1000
    idle: float = 20.0


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """A server and how to speak to it. `hostname` is our name in EHLO, `source_address` the local IP address to send
    from. `ssl_context` replaces the default one of the policy (a private CA); the certificate must name `tls_name`,
    `host` when None. Credentials are never sent in the clear unless the policy is `off`. `addresses`: where `host` is,
    tried as in RFC 8305; without them the system resolves the name, with them only addresses that `allow_private`
    allows are called. `check_peer` looks at a finished handshake and says why the peer is not the right one, if it is
    not. `tls_source`: who asked for this TLS policy, for the record. Raises ValueError for values that no conversation
    could carry."""

    host: str
    port: int
    hostname: str = "localhost"
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    ssl_context: ssl.SSLContext | None = None
    tls_name: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    xoauth2: bool = False  # the password is an OAuth access token
    source_address: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    addresses: tuple[str, ...] = ()
    allow_private: bool = True
    check_peer: Callable[[ssl.SSLObject], str | None] | None = None
    tls_source: str = "setting"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tls", TlsPolicy(self.tls))  # a plain string compares equal but is not the same
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password: give both or neither")
        for value, what in ((self.username, "username"), (self.password, "password")):
            if value is not None and "\x00" in value:
                raise ValueError(f"{what}: a NUL character cannot be sent (RFC 4616)")
        if not self.hostname or not all("!" <= character <= "~" for character in self.hostname):
            raise ValueError("hostname: give a host name in ASCII, such as mail.example.com")

    def context(self) -> ssl.SSLContext:
        """The TLS context of the policy."""
        return self.ssl_context or default_context(self.tls.verified)


_contexts: dict[bool, ssl.SSLContext] = {}


def default_context(verified: bool) -> ssl.SSLContext:
    """Made once: reading the system's certificates takes some milliseconds."""
    if (context := _contexts.get(verified)) is None:
        context = ssl.create_default_context()
        if not verified:
            # Keeps passive readers out; without DANE or MTA-STS there is no name to verify (RFC 7435).
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _contexts[verified] = context
    return context
