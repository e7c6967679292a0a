"""Hosts on blocklists, in a DNS of our own."""

from __future__ import annotations

from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_sender.content.blocklists import Listing, check_hosts, names_of

ZONE = "dbl.example.net"
LISTED = {"A": ["127.0.0.2"]}


async def test_registered_domains_are_found_below_hosts() -> None:
    resolver = StaticResolver({f"test.{ZONE}": LISTED, f"spam.example.{ZONE}": LISTED})
    found = await check_hosts(resolver, [ZONE], ["a.b.spam.example", "good.example", "good.example"])
    assert found.found == (Listing("a.b.spam.example", ZONE, "127.0.0.2"),)
    assert (found.checked, found.unusable) == (("a.b.spam.example", "good.example"), ())


async def test_a_list_that_does_not_work_says_nothing() -> None:
    everything = StaticResolver({"*": LISTED})  # a domain that was sold: it lists the whole world
    refusing = StaticResolver(
        {f"test.{ZONE}": {"A": ["127.255.255.254"]}, f"x.example.{ZONE}": {"A": ["127.255.255.254"]}}
    )
    away = StaticResolver({"*": {"A": DnsUnavailable("x", "no answer")}})
    for resolver in (everything, refusing, away, StaticResolver({})):
        found = await check_hosts(resolver, [ZONE], ["x.example"])
        assert (found.found, found.unusable) == ((), (ZONE,))


async def test_a_list_that_stops_answering_says_nothing_of_anybody() -> None:
    resolver = StaticResolver(
        {
            f"test.{ZONE}": LISTED,
            f"spam.example.{ZONE}": LISTED,
            f"later.example.{ZONE}": {"A": DnsUnavailable("x", "no answer")},
        }
    )
    found = await check_hosts(resolver, [ZONE], ["spam.example", "later.example"])
    assert (found.found, found.unusable) == ((), (ZONE,))


def test_names_above_a_host() -> None:
    assert names_of("a.b.c.d.example.com") == ["c.d.example.com", "d.example.com", "example.com"]
    assert names_of("localhost") == []
