"""Redis and Valkey streams: one entry for each event, with the fields `id`, `type`, `body` and the `webhook-*` headers.

A repeat is another entry with the same `id`: consumers know it by that, as they would over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool, Connection, SSLConnection
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.http_guard import (
    BrokenResponse,
    ConnectFailed,
    InvalidUrl,
    OutgoingError,
    TimedOut,
    TlsFailed,
)
from penguinmails_webhooks.destinations.base import (
    Clients,
    Limits,
    Message,
    Place,
    Rejected,
    Target,
    parse_place,
    url_errors,
)

SCHEMES = {"rediss": (6379, True), "redis": (6379, False)}
_MAX_NAME = 512
_CONNECTIONS = 8  # to one place


def check(url: str, settings: Mapping[str, Any], secret: str | None, *, allow_private: bool) -> list[FieldError]:
    """As `registry.check`."""
    errors = []
    try:
        place = parse_place(url, SCHEMES, allow_private=allow_private)
        _database(place)
    except OutgoingError as error:
        errors += url_errors(error)
    stream = settings.get("stream")
    if not stream or len(stream) > _MAX_NAME or not stream.isprintable():
        detail = f"`stream` is the key of a stream, 1 to {_MAX_NAME} characters."
        errors.append(FieldError("/destination/stream", "required" if not stream else "invalid", detail))
    if settings.get("username") and secret is None:
        detail = "`username` needs the password, as `secret`."
        errors.append(FieldError("/destination/secret", "required", detail))
    return errors


class _NamedSSLConnection(SSLConnection):
    """Connects to an address, and asks for a certificate of the name."""

    def __init__(self, *, server_name: str, **options: Any) -> None:
        super().__init__(**options)
        self._server_name = server_name

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self._server_name}


class RedisStreams:
    kind = "redis_stream"

    def __init__(self, limits: Limits, *, ca_data: str | None = None) -> None:
        self._limits = limits
        self._ca_data = ca_data
        self._clients: Clients[Redis] = Clients(limits.dns, lambda client: client.aclose())

    async def send(self, target: Target, message: Message) -> dict[str, Any]:
        client: Redis | None = None
        try:
            async with asyncio.timeout(self._limits.timeout):
                client = await self._clients.get(target.identity, lambda: self._connect(target))
                fields: dict[Any, Any] = {"id": message.id, "type": message.type, **message.headers}
                fields["body"] = message.body
                most = target.settings.get("max_length")
                entry = await client.xadd(target.settings["stream"], fields, maxlen=most, approximate=most is not None)
                return {"entry_id": entry.decode() if isinstance(entry, bytes) else entry}
        except (RedisError, OSError, TimeoutError) as error:
            await self._clients.drop(target.identity, client)
            raise _translated(error, self._limits.timeout) from None

    async def close(self) -> None:
        await self._clients.close()

    async def _connect(self, target: Target) -> Redis:
        place = parse_place(target.url, SCHEMES, allow_private=self._limits.allow_private)
        options: dict[str, Any] = {
            "host": await self._clients.address(place),
            "port": place.port,
            "db": _database(place),
            "username": target.settings.get("username"),
            "password": target.secret,
            "socket_connect_timeout": self._limits.timeout,
            "socket_timeout": self._limits.timeout,
            "client_name": "penguinmails",
        }
        kind: type[Connection] = Connection
        if place.tls:
            kind = _NamedSSLConnection
            options |= {"server_name": place.host, "ssl_ca_data": self._ca_data}
        pool = BlockingConnectionPool(connection_class=kind, max_connections=_CONNECTIONS, **options)
        return Redis.from_pool(pool)


def _database(place: Place) -> int:
    number = place.path.strip("/")
    if not number:
        return 0
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise InvalidUrl("the path of the URL is the number of the database, such as /0")
    return int(number)


def _translated(error: Exception, timeout: float) -> OutgoingError:
    """Without the error's own text where it holds addresses, which the owner of a name need not learn."""
    if isinstance(error, RedisTimeout | TimeoutError):
        return TimedOut(f"no answer within {timeout:g} s")
    if isinstance(error, AuthenticationError | NoPermissionError):
        return Rejected(f"Redis does not let us write: {error}")
    if isinstance(error, RedisConnectionError | OSError):
        cause = f"{error} {error.__cause__ or ''}".lower()
        if "ssl" in cause or "certificate" in cause:
            return TlsFailed("no TLS connection could be made, or the certificate is not trusted")
        if "closed by server" in cause:
            return BrokenResponse("the connection was closed before an answer came")
        return ConnectFailed("no connection to Redis")
    if isinstance(error, ResponseError):
        return Rejected(f"Redis answered: {error}")
    return BrokenResponse("Redis did not answer as it should")
