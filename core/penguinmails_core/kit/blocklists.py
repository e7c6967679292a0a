"""DNS blocklists (RFC 5782): whether an address or a name is on one, told only by lists that work.

A list that answers wrongly for its test entries (§5: 127.0.0.2 or `test` must be listed, 127.0.0.1 or `invalid` must
not) is dead or lists the world, and is not believed. Codes in 127.255.255.0/24 say "you may not ask me so".
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, Resolver

_LISTINGS = ipaddress.ip_network("127.0.0.0/8")
_ERRORS = ipaddress.ip_network("127.255.255.0/24")
_NEVER = ipaddress.ip_address("127.0.0.1")  # of an address that must not be listed (§5)


class Listing(StrEnum):
    LISTED = "listed"
    CLEAR = "clear"
    UNKNOWN = "unknown"  # the list gave no answer, or refuses to


@dataclass(frozen=True, slots=True)
class Answer:
    """`codes` are the addresses that the list answered with."""

    listing: Listing
    codes: tuple[str, ...] = ()


async def is_usable(resolver: Resolver, zone: str, *, names: bool) -> bool:
    """Whether the list passes its own test. `names`: it lists domain names, not addresses."""
    listed, clear = ("test", "invalid") if names else ("2.0.0.127", "1.0.0.127")
    found = await asyncio.gather(*(_look_up(resolver, f"{entry}.{zone}") for entry in (listed, clear)))
    return [answer.listing for answer in found] == [Listing.LISTED, Listing.CLEAR]


async def ask(resolver: Resolver, zone: str, subject: str) -> Answer:
    """`subject`: an IP address, or a domain name in A-labels. Ask `is_usable` before you believe it."""
    try:
        asked = reversed_name(subject)
    except ValueError:
        asked = subject.lower().rstrip(".")
    return await _look_up(resolver, f"{asked}.{zone}")


def reversed_name(address: str) -> str:
    """``2.0.0.127``; an IPv6 address by its nibbles (§2.4). Raises `ValueError` for what is no address."""
    parsed = ipaddress.ip_address(address)
    return parsed.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


async def _look_up(resolver: Resolver, name: str) -> Answer:
    try:
        codes = tuple(sorted(address for address in await resolver.addresses(name) if ":" not in address))
    except NameNotFound:
        return Answer(Listing.CLEAR)
    except DnsUnavailable:
        return Answer(Listing.UNKNOWN)
    if not codes:
        return Answer(Listing.CLEAR)
    # Anything but 127.0.0.0/8 is somebody else's answer: a parked domain that resolves every name.
    return Answer(Listing.LISTED if all(_is_listing(code) for code in codes) else Listing.UNKNOWN, codes)


def _is_listing(code: str) -> bool:
    address = ipaddress.ip_address(code)
    return address in _LISTINGS and address not in _ERRORS and address != _NEVER
