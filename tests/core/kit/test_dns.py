"""Resolvers: a table, and real queries to a small DNS server on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
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

ZONE = {
    ("example.test.", "MX"): ["20 mx2.example.test.", "10 MX1.Example.test."],
    ("example.test.", "TXT"): ['"v=spf1 " "-all"', '"other"'],
    ("null.test.", "MX"): ["0 ."],
    ("mx1.example.test.", "A"): ["127.0.0.1", "127.0.0.2"],
    ("mx1.example.test.", "AAAA"): ["::1"],
    ("alias.test.", "CNAME"): ["mx1.example.test."],
    ("xn--mnchen-3ya.test.", "A"): ["127.0.0.3"],
}


class Zone(asyncio.DatagramProtocol):
    """Answers from ZONE; SERVFAIL for broken.test, nothing at all for silent.test, NXDOMAIN for the rest."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # the selector loop's own class is not one

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name = query.question[0].name.to_text().lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        if name == "silent.test.":
            return
        if name == "broken.test.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == name for known, _ in ZONE):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        for target in ZONE.get((name, "CNAME"), []):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
            name = target
        if records := ZONE.get((name, kind)):
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, records))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def real() -> AsyncIterator[SystemResolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Zone, local_addr=("127.0.0.1", 0))
    yield SystemResolver(["127.0.0.1"], port=transport.get_extra_info("sockname")[1], timeout=1.0)
    transport.close()
    await asyncio.sleep(0)


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
