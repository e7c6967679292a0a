"""Lists that work are believed, others are not (RFC 5782)."""

from __future__ import annotations

import pytest

from penguinmails_core.domains.blacklists import Blacklist, Listing, check, reversed_name
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver

GOOD, DEAD, PARKED, SHUT, NAMES = "good.test", "dead.test", "parked.test", "shut.test", "names.test"
WORLD = StaticResolver(
    {
        f"2.0.0.127.{GOOD}": {"A": ["127.0.0.2"]},
        f"5.2.0.192.{GOOD}": {"A": ["127.0.0.4", "127.0.0.10"]},
        f"6.2.0.192.{GOOD}": {"A": ["127.255.255.254"]},
        f"7.2.0.192.{GOOD}": {"A": DnsUnavailable("x", "time-out")},
        f"5.2.0.192.{DEAD}": {"A": ["127.0.0.2"]},  # no test entry any more
        f"2.0.0.127.{PARKED}": {"A": ["203.0.113.1"]},
        f"1.0.0.127.{PARKED}": {"A": ["203.0.113.1"]},
        f"5.2.0.192.{PARKED}": {"A": ["203.0.113.1"]},
        f"2.0.0.127.{SHUT}": {"A": ["127.255.255.252"]},
        f"5.2.0.192.{SHUT}": {"A": ["127.255.255.252"]},
        f"test.{NAMES}": {"A": ["127.0.1.2"]},
        f"acme.example.{NAMES}": {"A": ["127.0.1.2"]},
    }
)
LISTS = [Blacklist(zone) for zone in (GOOD, DEAD, PARKED, SHUT)] + [Blacklist(NAMES, "domain")]


async def test_only_a_list_that_passes_its_own_test_is_believed() -> None:
    found = {verdict.blacklist.zone: verdict for verdict in await check(WORLD, "192.0.2.5", LISTS)}
    assert set(found) == {GOOD, DEAD, PARKED, SHUT}
    assert (found[GOOD].listing, found[GOOD].codes) == (Listing.LISTED, ("127.0.0.10", "127.0.0.4"))
    assert {zone for zone, verdict in found.items() if not verdict.usable} == {DEAD, PARKED, SHUT}
    assert {verdict.listing for verdict in found.values() if not verdict.usable} == {Listing.UNKNOWN}


@pytest.mark.parametrize(
    ("address", "listing"),
    [("192.0.2.1", Listing.CLEAR), ("192.0.2.6", Listing.UNKNOWN), ("192.0.2.7", Listing.UNKNOWN)],
)
async def test_errors_are_no_listings(address: str, listing: Listing) -> None:
    [verdict] = await check(WORLD, address, LISTS[:1])
    assert (verdict.listing, verdict.usable) == (listing, True)


async def test_names_are_asked_of_lists_of_names() -> None:
    assert [(v.blacklist.zone, v.listing) for v in await check(WORLD, "Acme.example", LISTS)] == [
        (NAMES, Listing.LISTED)
    ]
    [clear] = await check(WORLD, "other.example", LISTS)
    assert clear.listing is Listing.CLEAR


def test_addresses_are_reversed() -> None:
    assert reversed_name("192.0.2.5") == "5.2.0.192"
    assert reversed_name("2001:db8::1").startswith("1.0.0.0.")
