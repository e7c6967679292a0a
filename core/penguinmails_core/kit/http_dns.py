"""Names to addresses that may be called, remembered for as long as DNS allows.

One look-up at a time for a name, however many requests wait for it. Every address is checked when it comes in: a name
that points both outside and inside is an attack or a mistake, and is refused as a whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from penguinmails_core.kit.dns import DnsError
from penguinmails_core.kit.http_guard import ConnectFailed, DnsFailed, ForbiddenAddress, OutgoingError, check_address

LEAST_TTL, MOST_TTL, NEGATIVE_TTL = 1.0, 60.0, 5.0  # seconds
_SIZE = 10_000  # names


class AddressResolver(Protocol):
    """The part of `kit.dns.Resolver` that this client needs. One that also has `addresses_with_ttl` is asked by that;
    answers of another are kept for `LEAST_TTL`."""

    async def addresses(self, host: str) -> list[str]: ...


@runtime_checkable
class _Timed(Protocol):
    async def addresses_with_ttl(self, host: str) -> tuple[list[str], float]: ...


@dataclass(slots=True)
class _Entry:
    expires: float
    addresses: tuple[str, ...]
    error: OutgoingError | None = None


class AddressCache:
    """Checked addresses by name."""

    def __init__(
        self, resolver: AddressResolver, *, allow_private: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._allow_private = allow_private
        self._known: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[_Entry]] = {}

    def known(self, host: str) -> tuple[str, ...] | None:
        """What is known without asking: nothing to call when the name leads inside now, None when DNS has to be asked
        (which is then begun) or gives no answer."""
        entry = self._known.get(host)
        if entry is None or entry.expires <= self._clock():
            self._look_up(host)
            return None
        if entry.error is not None:
            return () if isinstance(entry.error, ForbiddenAddress) else None
        return entry.addresses

    async def resolve(self, host: str) -> tuple[str, ...]:
        """At least one address, all of them checked. Raises `DnsFailed` or `ForbiddenAddress`."""
        entry = self._known.get(host)
        if entry is None or entry.expires <= self._clock():
            # Shielded: the others who wait for the answer must not lose it when one of them gives up.
            task = self._look_up(host)
            try:
                entry = await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():
                    raise ConnectFailed("the request was given up: this process is ending") from None
                raise
        if entry.error is not None:
            raise type(entry.error)(entry.error.detail)
        return entry.addresses

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._known.clear()

    def _look_up(self, host: str) -> asyncio.Task[_Entry]:
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = asyncio.get_running_loop().create_task(self._ask(host), name="outgoing DNS")
            task.add_done_callback(lambda _: self._running.pop(host, None))
        return task

    async def _ask(self, host: str) -> _Entry:
        addresses: tuple[str, ...] = ()
        ttl = NEGATIVE_TTL
        error: OutgoingError | None = None
        try:
            found, given = await self._answer(host)
            addresses = tuple(found)
            if not addresses:
                raise DnsFailed(f"{host} has no address")
            for address in addresses:
                check_address(address, allow_private=self._allow_private)
            ttl = min(max(given, LEAST_TTL), MOST_TTL)
        except DnsError as problem:
            error = DnsFailed(f"{host} cannot be resolved: {problem.reason}")
        except (DnsFailed, ForbiddenAddress) as problem:
            error = problem.with_traceback(None)
        entry = _Entry(self._clock() + ttl, addresses, error)
        self._known.pop(host, None)  # to the end of the order, which is that of the look-ups
        self._known[host] = entry
        if len(self._known) > _SIZE:
            del self._known[next(iter(self._known))]
        return entry

    async def _answer(self, host: str) -> tuple[list[str], float]:
        if host == "localhost" or host.endswith(".localhost"):
            return ["127.0.0.1", "::1"], MOST_TTL  # RFC 6761 §6.3: never asked of DNS
        if isinstance(self._resolver, _Timed):
            return await self._resolver.addresses_with_ttl(host)
        return await self._resolver.addresses(host), LEAST_TTL
