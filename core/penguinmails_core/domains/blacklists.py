"""DNS blacklists (RFC 5782): whether an address or a name of ours is on one, told only by lists that work.

A list that answers wrongly for its test entries (§5: 127.0.0.2 must be listed, 127.0.0.1 must not) is dead or lists the
world, and is left out. Codes in 127.255.255.0/24 say "you may not ask me so" and are errors, not listings.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, Resolver

_ERRORS = ipaddress.ip_network("127.255.255.0/24")
_LISTINGS = ipaddress.ip_network("127.0.0.0/8")


class Listing(StrEnum):
    LISTED = "listed"
    CLEAR = "clear"
    UNKNOWN = "unknown"  # the list gave no answer, or refuses to


@dataclass(frozen=True, slots=True)
class Blacklist:
    """`kind` is ``ip`` or ``domain``."""

    zone: str
    kind: str = "ip"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`codes` are the addresses that the list answered with. `usable` is False for a list that fails its own test."""

    blacklist: Blacklist
    listing: Listing
    codes: tuple[str, ...] = ()
    usable: bool = True


async def check(resolver: Resolver, subject: str, blacklists: Sequence[Blacklist]) -> list[Verdict]:
    """`subject`: an IP address for lists of addresses, or a domain name (A-labels) for lists of names; lists of the
    other kind are not asked."""
    try:
        kind, asked = "ip", reversed_name(subject)
    except ValueError:
        kind, asked = "domain", subject.lower().rstrip(".")
    fitting = [each for each in blacklists if each.kind == kind]
    return list(await asyncio.gather(*(_ask(resolver, asked, each) for each in fitting)))


def reversed_name(address: str) -> str:
    """``2.0.0.127``; an IPv6 address by its nibbles (§2.4). Raises `ValueError` for what is no address."""
    parsed = ipaddress.ip_address(address)
    return parsed.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


async def _ask(resolver: Resolver, asked: str, blacklist: Blacklist) -> Verdict:
    listed, clear = ("2.0.0.127", "1.0.0.127") if blacklist.kind == "ip" else ("test", "invalid")
    tests = await asyncio.gather(*(_look(resolver, f"{name}.{blacklist.zone}") for name in (listed, clear, asked)))
    codes = tests[2][1]
    if tests[0][0] is not Listing.LISTED or tests[1][0] is not Listing.CLEAR:
        return Verdict(blacklist, Listing.UNKNOWN, codes, usable=False)
    return Verdict(blacklist, tests[2][0], codes)


async def _look(resolver: Resolver, name: str) -> tuple[Listing, tuple[str, ...]]:
    try:
        found = tuple(sorted(address for address in await resolver.addresses(name) if ":" not in address))
    except NameNotFound:
        return Listing.CLEAR, ()
    except DnsUnavailable:
        return Listing.UNKNOWN, ()
    if not found:
        return Listing.CLEAR, ()
    if any(ipaddress.ip_address(code) in _ERRORS for code in found):
        return Listing.UNKNOWN, found
    # Anything but 127.0.0.0/8 is somebody else's answer: a parked domain that resolves every name.
    good = all(ipaddress.ip_address(code) in _LISTINGS for code in found)
    return (Listing.LISTED if good else Listing.UNKNOWN), found
