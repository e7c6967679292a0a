"""All destinations of a process, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.dns import SystemResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.kit.http_dns import AddressCache, AddressResolver
from penguinmails_webhooks.destinations import nats, redis_stream, sqs
from penguinmails_webhooks.destinations.base import Destination, Limits, Message, Target
from penguinmails_webhooks.destinations.nats import Nats
from penguinmails_webhooks.destinations.redis_stream import RedisStreams
from penguinmails_webhooks.destinations.sqs import Sqs

_CHECKS = {"redis_stream": redis_stream.check, "sqs": sqs.check, "nats": nats.check}
_MAX_USER = 255
_SETTINGS: Mapping[str, frozenset[str]] = {
    "redis_stream": frozenset(("stream", "max_length", "username")),
    "sqs": frozenset(("region", "access_key_id")),
    "nats": frozenset(("subject", "jetstream", "username")),
}


def check(
    kind: str, url: str, settings: Mapping[str, Any], secret: str | None, *, allow_private: bool
) -> list[FieldError]:
    """What is wrong with how a place of that kind is named. `secret` None: none is set."""
    known = _SETTINGS[kind]
    errors = [
        FieldError(f"/destination/{name}", "unknown_field", f"`{name}` is no setting of {kind}: {_names(known)}.")
        for name in settings
        if name not in known
    ]
    username = settings.get("username")
    if username is not None and not (username.isprintable() and 0 < len(username) <= _MAX_USER):
        detail = f"`username` is 1 to {_MAX_USER} characters that can be shown."
        errors.append(FieldError("/destination/username", "invalid", detail))
    return errors + _CHECKS[kind](url, settings, secret, allow_private=allow_private)


def _names(known: frozenset[str]) -> str:
    return ", ".join(sorted(known))


class Destinations:
    """`http` is the engine's own client: SQS is spoken over it, with the same rules."""

    def __init__(
        self, http: OutgoingHttp, *, allow_private: bool, timeout: float, resolver: AddressResolver | None = None
    ) -> None:
        self._dns = AddressCache(resolver or SystemResolver(), allow_private=allow_private)
        limits = Limits(self._dns, allow_private, timeout)
        found: tuple[Destination, ...] = (RedisStreams(limits), Sqs(limits, http), Nats(limits))
        self._by_kind: Mapping[str, Destination] = {destination.kind: destination for destination in found}

    async def send(self, kind: str, target: Target, message: Message) -> dict[str, Any]:
        """Raises `OutgoingError`."""
        return await self._by_kind[kind].send(target, message)

    async def close(self) -> None:
        for destination in self._by_kind.values():
            await destination.close()
        await self._dns.close()
