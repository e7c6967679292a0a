"""Lists that work are believed, others are not (RFC 5782)."""

from __future__ import annotations

import pytest

from penguinmails_core.kit.blocklists import Answer, Listing, ask, is_usable, reversed_name
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver

GOOD, DEAD, PARKED, SHUT, NAMES = "good.test", "dead.test", "parked.test", "shut.test", "names.test"
WORLD = StaticResolver(
    {
        f"2.0.0.127.{GOOD}": {"A": ["127.0.0.2"]},
        f"5.2.0.192.{GOOD}": {"A": ["127.0.0.4", "127.0.0.10"]},
        f"6.2.0.192.{GOOD}": {"A": ["127.255.255.254"]},
        f"8.2.0.192.{GOOD}": {"A": ["127.0.0.1"]},
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


async def test_only_a_list_that_passes_its_own_test_is_usable() -> None:
    assert [zone for zone in (GOOD, DEAD, PARKED, SHUT) if await is_usable(WORLD, zone, names=False)] == [GOOD]
    assert await is_usable(WORLD, NAMES, names=True)
    assert not await is_usable(WORLD, GOOD, names=True)


@pytest.mark.parametrize(
    ("zone", "subject", "answer"),
    [
        (GOOD, "192.0.2.5", Answer(Listing.LISTED, ("127.0.0.10", "127.0.0.4"))),
        (GOOD, "192.0.2.1", Answer(Listing.CLEAR)),
        (GOOD, "192.0.2.6", Answer(Listing.UNKNOWN, ("127.255.255.254",))),
        (GOOD, "192.0.2.7", Answer(Listing.UNKNOWN)),
        (GOOD, "192.0.2.8", Answer(Listing.UNKNOWN, ("127.0.0.1",))),
        (PARKED, "192.0.2.5", Answer(Listing.UNKNOWN, ("203.0.113.1",))),
        (NAMES, "Acme.example.", Answer(Listing.LISTED, ("127.0.1.2",))),
        (NAMES, "other.example", Answer(Listing.CLEAR)),
    ],
)
async def test_errors_are_no_listings(zone: str, subject: str, answer: Answer) -> None:
    assert await ask(WORLD, zone, subject) == answer


def test_addresses_are_reversed() -> None:
    assert reversed_name("192.0.2.5") == "5.2.0.192"
    assert reversed_name("2001:db8::1").startswith("1.0.0.0.")
