"""Hosts of links on blocklists of names (RFC 5782 §2.4, §5), in zones that the operator chose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from penguinmails_core.kit.dns import DnsError, NameNotFound, Resolver

MAX_HOSTS = 30


@dataclass(frozen=True, slots=True)
class Listing:
    host: str
    zone: str
    code: str


@dataclass(frozen=True, slots=True)
class Listings:
    """`unusable` are zones that did not answer as a list must: what they would say means nothing."""

    found: tuple[Listing, ...]
    checked: tuple[str, ...]
    unusable: tuple[str, ...]


def names_of(host: str) -> list[str]:
    """The host and the domains above it, down to two labels: lists hold registered domains as a rule."""
    labels = host.split(".")
    return [".".join(labels[index:]) for index in range(max(0, len(labels) - 4), len(labels) - 1)]


def is_listing(address: str) -> bool:
    """127.0.0.2 and up. 127.0.0.1 and 127.255.255.0/24 say that the list does not serve this resolver."""
    return address.startswith("127.") and address != "127.0.0.1" and not address.startswith("127.255.255.")


async def _look_up(resolver: Resolver, name: str) -> list[str]:
    try:
        return [address for address in await resolver.addresses(name) if ":" not in address]
    except NameNotFound:
        return []


async def _usable(resolver: Resolver, zone: str) -> bool:
    """RFC 5782 §5: TEST is listed, INVALID never is."""
    try:
        listed, empty = await asyncio.gather(_look_up(resolver, f"test.{zone}"), _look_up(resolver, f"invalid.{zone}"))
    except DnsError:
        return False
    return any(is_listing(address) for address in listed) and not empty


async def check_hosts(resolver: Resolver, zones: Sequence[str], hosts: Sequence[str]) -> Listings:
    """At most 30 hosts, each once. A list that does not answer is none that says no."""
    hosts = list(dict.fromkeys(hosts))[:MAX_HOSTS]
    found: list[Listing] = []
    unusable: list[str] = []
    for zone in zones:
        if not await _usable(resolver, zone):
            unusable.append(zone)
            continue
        try:
            found += [listing for host in hosts if (listing := await _listing(resolver, zone, host)) is not None]
        except DnsError:
            unusable.append(zone)
    return Listings(tuple(found), tuple(hosts), tuple(unusable))


async def _listing(resolver: Resolver, zone: str, host: str) -> Listing | None:
    for name in names_of(host):
        for address in await _look_up(resolver, f"{name}.{zone}"):
            if is_listing(address):
                return Listing(host, zone, address)
    return None
