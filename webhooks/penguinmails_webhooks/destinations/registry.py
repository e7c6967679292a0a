"""All destinations of a process, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.dns import SystemResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_core.kit.http_dns import AddressCache, AddressResolver
from penguinmails_webhooks.destinations.base import Destination, Limits, Message, Target
from penguinmails_webhooks.destinations.nats import Nats
from penguinmails_webhooks.destinations.redis_stream import RedisStreams
from penguinmails_webhooks.destinations.sqs import Sqs


class Destinations:
    """`http` is the engine's own client: SQS is spoken over it, with the same rules."""

    def __init__(
        self, http: OutgoingHttp, *, allow_private: bool, timeout: float, resolver: AddressResolver | None = None
    ) -> None:
        self._dns = AddressCache(resolver or SystemResolver(), allow_private=allow_private)
        limits = Limits(self._dns, allow_private, timeout)
        found: tuple[Destination, ...] = (RedisStreams(limits), Sqs(limits, http), Nats(limits))
        self._by_kind: Mapping[str, Destination] = {destination.kind: destination for destination in found}

    def check(self, kind: str, url: str, settings: Mapping[str, Any], secret: str | None) -> list[FieldError]:
        """What is wrong with a place of that kind."""
        return self._by_kind[kind].check(url, settings, secret)

    async def send(self, kind: str, target: Target, message: Message) -> dict[str, Any]:
        """Raises `OutgoingError`."""
        return await self._by_kind[kind].send(target, message)

    async def close(self) -> None:
        for destination in self._by_kind.values():
            await destination.close()
        await self._dns.close()
