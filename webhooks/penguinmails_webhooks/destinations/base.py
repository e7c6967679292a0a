"""What every destination has in common: a place, a message, and how a failure is told.

A message is what an HTTP receiver would get: the same body, and the signed `webhook-*` headers as attributes. Failures
are `OutgoingError`s, as of HTTP: `InvalidUrl` and `InvalidRequest` end the delivery, all others are tried again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.http_dns import AddressCache
from penguinmails_core.kit.http_guard import InvalidRequest, InvalidUrl, OutgoingError, check_host

Client = TypeVar("Client")

MAX_CLIENTS = 256  # connections of one process to places of one kind
_AUTHORITY = re.compile(r"([a-z]+)://([^/?#\s@\\]+)(/[^?#\s]*)?\Z", re.IGNORECASE)


class Rejected(OutgoingError):
    """The place answered, and will not take the message now: credentials, rights, limits, a stream that is missing."""

    reason: ClassVar[str] = "rejected"


class TooLarge(InvalidRequest):
    """The message is larger than the place takes; it will be so the next time."""

    reason: ClassVar[str] = "too_large"


class Missing(OutgoingError):
    """This server lacks a library; its operator can install it."""

    reason: ClassVar[str] = "not_installed"


@dataclass(frozen=True, slots=True)
class Target:
    """`key`: whose connections it may use (an endpoint). `secret`: a password, a token or a secret key."""

    key: Hashable
    url: str
    settings: Mapping[str, Any]
    secret: str | None

    @property
    def identity(self) -> Hashable:
        """Whoever changes one of these gets another connection."""
        return self.key, self.url, tuple(sorted(self.settings.items())), self.secret


@dataclass(frozen=True, slots=True)
class Message:
    """`id`: the event's, the same in every attempt. `group`: what is kept in order where the place does so."""

    id: str
    type: str
    body: bytes
    headers: Mapping[str, str]
    group: str


class Destination(Protocol):
    """One kind of place."""

    @property
    def kind(self) -> str: ...

    async def send(self, target: Target, message: Message) -> dict[str, Any]:
        """Hands the message over; what the place said, for the record. Raises `OutgoingError`."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A server by its URL: ``scheme://host:port/path``."""

    host: str
    port: int
    tls: bool
    path: str
    literal: bool


def parse_place(url: str, schemes: Mapping[str, tuple[int, bool]], *, allow_private: bool) -> Place:
    """`schemes`: name -> (port, whether it is TLS). Names are not resolved here. Raises `InvalidUrl` or
    `ForbiddenAddress`."""
    shape = _AUTHORITY.match(url)
    names = " or ".join(f"{name}://" for name, (_, tls) in schemes.items() if tls or allow_private)
    known = schemes.get(shape[1].lower()) if shape else None
    if shape is None or known is None:
        raise InvalidUrl(f"the URL is {names} and a host, without a user name or password")
    port, tls = known
    if not tls and not allow_private:
        raise InvalidUrl(f"use {names}: without TLS everybody on the way could read and change events")
    authority, path = shape[2], shape[3] or ""
    host, colon, number = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host = authority
    else:
        if not (number.isascii() and number.isdigit() and 0 < int(number[:6]) < 65536):
            raise InvalidUrl("a port is 1 to 65535")
        port = int(number)
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed != (":" in host):
        raise InvalidUrl("an IPv6 address stands in brackets")
    host, literal = check_host(host.strip("[]").lower(), allow_private=allow_private)
    return Place(host, port, tls, path, literal)


def url_errors(error: OutgoingError) -> list[FieldError]:
    return [FieldError("/url", error.reason, f"`url` cannot be used: {error.detail}.")]


class Clients(Generic[Client]):
    """Connections by target, used again until they fail, and closed when there are too many."""

    def __init__(self, dns: AddressCache, close: Callable[[Client], Awaitable[object]]) -> None:
        self._dns = dns
        self._close = close
        self._open: dict[Hashable, Client] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}

    async def address(self, place: Place) -> str:
        """A checked address. The connection is made to it and not to the name, which could lead inside by then."""
        return place.host if place.literal else (await self._dns.resolve(place.host))[0]

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Client]]) -> Client:
        """The open one, or a new one; who asks at the same time waits for it."""
        found = self._open.get(key)
        if found is not None:
            return found
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                found = self._open.get(key)
                if found is None:
                    found = await make()
                    while len(self._open) >= MAX_CLIENTS:
                        await self.drop(next(iter(self._open)))
                    self._open[key] = found
                return found
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def drop(self, key: Hashable, client: Client | None = None) -> None:
        """After a failure; `client`: only if it is still this one."""
        found = self._open.get(key)
        if found is None or (client is not None and found is not client):
            return
        del self._open[key]
        with suppress(Exception):  # it is broken, or on its way to be
            await self._close(found)

    async def close(self) -> None:
        for key in list(self._open):
            await self.drop(key)


@dataclass(frozen=True, slots=True)
class Limits:
    """What all destinations of a process share. `timeout`: seconds for a whole delivery."""

    dns: AddressCache
    allow_private: bool
    timeout: float
