"""Resolvers: a table, and real queries to a small DNS server on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from penguinmails_core.kit.dns import (
    DnsError,
    DnsUnavailable,
    MxRecord,
    NameNotFound,
    Resolver,
    StaticResolver,
    SystemResolver,
    is_null_mx,
)
from tests.core.kit.dns_world import SILENT, dns_server

ZONE = {
    ("example.test.", "MX"): ["20 mx2.example.test.", "10 MX1.Example.test."],
    ("example.test.", "TXT"): ['"v=spf1 " "-all"', '"other"'],
    ("null.test.", "MX"): ["0 ."],
    ("mx1.example.test.", "A"): ["127.0.0.1", "127.0.0.2"],
    ("mx1.example.test.", "AAAA"): ["::1"],
    ("alias.test.", "CNAME"): ["mx1.example.test."],
    ("xn--mnchen-3ya.test.", "A"): ["127.0.0.3"],
    ("v4only.test.", "A"): ["127.0.0.4"],
    ("v4only.test.", "AAAA"): [SILENT],
}


@pytest.fixture
async def real() -> AsyncIterator[SystemResolver]:
    async with dns_server(ZONE) as resolver:
        yield resolver


@pytest.fixture
def static() -> StaticResolver:
    return StaticResolver(
        {
            "Example.test.": {
                "MX": [(20, "mx2.example.test"), (10, "MX1.Example.test.")],
                "TXT": ["v=spf1 -all", b"other"],
            },
            "null.test": {"MX": [(0, ".")]},
            "mx1.example.test": {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1"]},
            "alias.test": {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1"]},
            "xn--mnchen-3ya.test": {"A": ["127.0.0.3"]},
            "broken.test": {"MX": DnsUnavailable("broken.test", "SERVFAIL")},
        }
    )


@pytest.mark.parametrize("which", ["static", "real"])
async def test_both_resolvers_answer_alike(which: str, static: StaticResolver, real: SystemResolver) -> None:
    resolver: Resolver = static if which == "static" else real
    assert await resolver.mx("example.test") == [(10, "mx1.example.test"), (20, "mx2.example.test")]
    assert await resolver.mx("EXAMPLE.test.") == await resolver.mx("example.test")
    assert sorted(await resolver.txt("example.test")) == [b"other", b"v=spf1 -all"]
    for host in ("mx1.example.test", "alias.test"):
        *v4, v6 = await resolver.addresses(host)
        assert (sorted(v4), v6) == (["127.0.0.1", "127.0.0.2"], "::1")
    assert await resolver.addresses("xn--mnchen-3ya.test") == ["127.0.0.3"]
    assert await resolver.mx("mx1.example.test") == []
    assert is_null_mx(await resolver.mx("null.test"))
    assert not is_null_mx(await resolver.mx("example.test"))
    with pytest.raises(NameNotFound) as missing:
        await resolver.mx("missing.test")
    assert missing.value.name == "missing.test"
    with pytest.raises(DnsUnavailable):
        await resolver.mx("broken.test")


async def test_addresses_with_their_time_to_live(real: SystemResolver) -> None:
    for host in ("mx1.example.test", "alias.test"):
        addresses, ttl = await real.addresses_with_ttl(host)
        assert (sorted(addresses), ttl) == (["127.0.0.1", "127.0.0.2", "::1"], 60)
    assert await real.addresses_with_ttl("example.test") == ([], 0)
    with pytest.raises(NameNotFound):
        await real.addresses_with_ttl("missing.test")
    with pytest.raises(DnsUnavailable):
        await real.addresses_with_ttl("broken.test")


async def test_one_family_without_an_answer_does_not_hide_the_other(real: SystemResolver) -> None:
    assert await real.addresses_with_ttl("v4only.test") == (["127.0.0.4"], 60)


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".test", ".".join(["a" * 63] * 5), "a\\"])
async def test_names_that_cannot_exist(real: SystemResolver, name: str) -> None:
    with pytest.raises(NameNotFound, match="not a domain name"):
        await real.mx(name)


async def test_a_silent_server_is_a_temporary_failure(real: SystemResolver) -> None:
    with pytest.raises(DnsUnavailable, match="LifetimeTimeout"):
        await real.txt("silent.test")


async def test_no_server_is_a_temporary_failure() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        resolver = SystemResolver(["127.0.0.1"], port=unused.getsockname()[1], timeout=0.3)
        with pytest.raises(DnsUnavailable):
            await resolver.mx("example.test")


async def test_wildcard_of_the_table() -> None:
    resolver = StaticResolver({"*": {"MX": [(10, "sink.test")]}, "null.test": {"MX": [(0, ".")]}})
    assert await resolver.mx("anything.test") == [(10, "sink.test")]
    assert await resolver.mx("null.test") == [(0, ".")]
    assert await resolver.txt("anything.test") == []


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ([(0, ".")], True),
        ([(0, "")], True),
        ([(10, ".")], True),
        ([], False),
        ([(0, "mx.example.test")], False),
        ([(0, "."), (10, "mx.example.test")], False),
    ],
)
def test_null_mx(records: list[MxRecord], verdict: bool) -> None:
    assert is_null_mx(records) is verdict


def test_every_error_is_a_dns_error() -> None:
    assert issubclass(NameNotFound, DnsError)
    assert issubclass(DnsUnavailable, DnsError)
