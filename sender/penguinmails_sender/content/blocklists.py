"""Hosts of links on blocklists of names (RFC 5782 §2.4), in zones that the operator chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penguinmails_core.kit import blocklists
from penguinmails_core.kit.dns import Resolver

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


async def check_hosts(resolver: Resolver, zones: Sequence[str], hosts: Sequence[str]) -> Listings:
    """At most 30 hosts, each once. A list that does not answer is none that says no."""
    hosts = list(dict.fromkeys(hosts))[:MAX_HOSTS]
    found: list[Listing] = []
    unusable: list[str] = []
    for zone in zones:
        listed = None
        if await blocklists.is_usable(resolver, zone, names=True):
            listed = await _listed(resolver, zone, hosts)
        if listed is None:
            unusable.append(zone)
        else:
            found += listed
    return Listings(tuple(found), tuple(hosts), tuple(unusable))


async def _listed(resolver: Resolver, zone: str, hosts: Sequence[str]) -> list[Listing] | None:
    """None when the list stops answering."""
    found = []
    for host in hosts:
        for name in names_of(host):
            answer = await blocklists.ask(resolver, zone, name)
            if answer.listing is blocklists.Listing.UNKNOWN:
                return None
            if answer.listing is blocklists.Listing.LISTED:
                found.append(Listing(host, zone, answer.codes[0]))
                break
    return found
