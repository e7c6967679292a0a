"""Which servers take mail for a domain (RFC 5321 §5.1), and where they are.

DNS is asked once for a domain however many messages wait for it, and the answer is kept for a while. Whether a failure
is final is decided here: a name that does not exist is news about the domain, a resolver without an answer never is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from penguinmails_core.kit.addresses import AddressError, to_ascii
from penguinmails_core.kit.dns import DnsError, MxRecord, NameNotFound, Resolver, is_null_mx
from penguinmails_core.kit.http_guard import ForbiddenAddress, check_address
from penguinmails_sender.smtp import Outcome

KEEP_SECONDS = 300.0
KEEP_FAILURE_SECONDS = 30.0
_MOST = 20_000
_MOST_HOSTS = 20
_MOST_ADDRESSES = 16

T = TypeVar("T")


class NoRoute(Exception):
    """Mail for the domain cannot go anywhere now (`deferred`) or ever (`bounced`)."""

    def __init__(self, outcome: Outcome, enhanced_code: str, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.enhanced_code = enhanced_code
        self.text = text


@dataclass(frozen=True, slots=True)
class Route:
    """`tiers`: hosts of equal preference together, the best first. `implicit`: the domain has no MX and takes mail at
    its own address (RFC 5321 §5.1)."""

    domain: str
    tiers: tuple[tuple[str, ...], ...]
    implicit: bool = False

    def order(self, rng: random.Random) -> list[str]:
        """Hosts as this delivery tries them: equal ones in random order, so that load spreads."""
        if len(self.tiers) == 1 and len(self.tiers[0]) == 1:
            return [self.tiers[0][0]]
        return [host for tier in self.tiers for host in rng.sample(tier, len(tier))]


class Routes:
    """`own_names`: what we are called; a domain whose mail would come back to us is not delivered to (RFC 5321 §5.1,
    loops). `allow_private`: loopback and private addresses may be called (tests, closed networks)."""

    def __init__(self, resolver: Resolver, *, own_names: Collection[str] = (), allow_private: bool = False) -> None:
        self._resolver = resolver
        self._own = {name.lower().rstrip(".") for name in own_names}
        self._allow_private = allow_private
        self._routes: Remembered[Route] = Remembered(self._find)
        self._addresses: Remembered[tuple[str, ...]] = Remembered(self._locate)

    async def route(self, domain: str) -> Route:
        """The servers of a recipient's domain. Raises NoRoute."""
        return await self._routes.get(domain)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Where a server is: IPv6 and IPv4 addresses that may be called. Raises NoRoute."""
        return await self._addresses.get(host)

    async def _find(self, domain: str) -> Route:
        name = _a_labels(domain)
        try:
            records = await self._resolver.mx(name)
        except NameNotFound:
            raise NoRoute(Outcome.BOUNCED, "5.1.2", f"the domain {domain} does not exist") from None
        except DnsError:
            raise NoRoute(
                Outcome.DEFERRED, "4.4.3", f"DNS gives no answer about the mail servers of {domain}"
            ) from None
        if not records:
            return await self._implicit(domain, name)
        if is_null_mx(records):
            raise NoRoute(Outcome.BOUNCED, "5.1.10", f"{domain} accepts no mail (null MX, RFC 7505)")
        return Route(name, _tiers(self._before_us(domain, records)))

    async def _implicit(self, domain: str, name: str) -> Route:
        if name in self._own:
            raise _loop(domain)
        try:
            await self.addresses(name)
        except NoRoute as problem:
            if problem.outcome is Outcome.DEFERRED or problem.enhanced_code != "5.4.4":
                raise
            raise NoRoute(Outcome.BOUNCED, "5.1.2", f"{domain} has no mail server and no address") from None
        return Route(name, ((name,),), implicit=True)

    def _before_us(self, domain: str, records: Iterable[MxRecord]) -> list[MxRecord]:
        """Where we are a server of the domain ourselves, only better ones may be tried, or mail would go in circles."""
        usable = [(preference, host) for preference, host in records if host not in (".", "")]
        ours = min((preference for preference, host in usable if host in self._own), default=None)
        if ours is not None:
            usable = [(preference, host) for preference, host in usable if preference < ours]
            if not usable:
                raise _loop(domain)
        if not usable:
            raise NoRoute(Outcome.BOUNCED, "5.4.4", f"the mail servers of {domain} have no names")
        return usable[:_MOST_HOSTS]

    async def _locate(self, host: str) -> tuple[str, ...]:
        try:
            found = await self._resolver.addresses(host)
        except NameNotFound:
            raise NoRoute(Outcome.BOUNCED, "5.4.4", f"the mail server {host} does not exist") from None
        except DnsError:
            raise NoRoute(Outcome.DEFERRED, "4.4.3", f"DNS gives no address of the mail server {host}") from None
        if not found:
            raise NoRoute(Outcome.BOUNCED, "5.4.4", f"the mail server {host} has no address")
        allowed = tuple(sorted(address for address in found if self._may_call(address)))
        if not allowed:
            # Anybody may publish an MX that points at our inside; whoever does gets no connection to it.
            raise NoRoute(Outcome.BOUNCED, "5.4.5", f"the mail server {host} has no public address")
        return allowed[:_MOST_ADDRESSES]

    def _may_call(self, address: str) -> bool:
        try:
            check_address(address, allow_private=self._allow_private)
        except ForbiddenAddress:
            return False
        return True


def _a_labels(domain: str) -> str:
    if domain.startswith("["):
        raise NoRoute(Outcome.BOUNCED, "5.1.2", "mail to an address literal is not sent; give a domain name")
    if domain.isascii():
        return domain.lower().rstrip(".")
    try:
        return to_ascii(domain)
    except AddressError:
        raise NoRoute(Outcome.BOUNCED, "5.1.2", "the domain is no domain name") from None


def _tiers(records: Iterable[MxRecord]) -> tuple[tuple[str, ...], ...]:
    by_preference: dict[int, list[str]] = {}
    seen: set[str] = set()
    for preference, host in sorted(records):
        if host not in seen:
            seen.add(host)
            by_preference.setdefault(preference, []).append(host)
    return tuple(tuple(hosts) for hosts in by_preference.values())


def _loop(domain: str) -> NoRoute:
    return NoRoute(Outcome.BOUNCED, "5.4.6", f"mail for {domain} would come back to this server")


class Remembered(Generic[T]):
    """Answers of a lookup by name, one lookup at a time for each name; a NoRoute is an answer too."""

    def __init__(
        self,
        lookup: Callable[[str], Awaitable[T]],
        *,
        keep: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._keep = keep
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, T | NoRoute]] = OrderedDict()
        self._running: dict[str, asyncio.Task[T | NoRoute]] = {}

    async def get(self, name: str) -> T:
        """Raises NoRoute."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] > self._clock():
            found = kept[1]
        else:
            task = self._running.get(name)
            if task is None:
                task = self._running[name] = asyncio.create_task(self._run(name))
                task.add_done_callback(lambda _: self._running.pop(name, None))
            found = await asyncio.shield(task)
        if isinstance(found, NoRoute):
            raise NoRoute(found.outcome, found.enhanced_code, found.text)
        return found

    async def _run(self, name: str) -> T | NoRoute:
        found: T | NoRoute
        try:
            found = await self._lookup(name)
            keep = self._keep
        except NoRoute as problem:
            found = problem
            keep = KEEP_FAILURE_SECONDS if problem.outcome is Outcome.DEFERRED else self._keep
        self._kept[name] = (self._clock() + keep, found)
        self._kept.move_to_end(name)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return found
