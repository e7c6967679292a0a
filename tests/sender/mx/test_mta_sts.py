"""RFC 8461: which policy counts, for how long, and what it does to mail. Policies come over real HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.mta_sts import MtaSts, StsError, StsPolicy, parse_policy, parse_record
from penguinmails_sender.mx.security import Security
from tests.sender.mx.world import direct
from tests.sender.smtp.certificates import Pair, make_pair
from tests.sender.smtp.helpers import envelope, outcomes
from tests.sender.smtp.scripted_server import EXTENSIONS, ScriptedServer

POLICY = "version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n"
TLS = (*EXTENSIONS, "STARTTLS")
OPPORTUNISTIC = ConnectionPolicy()


@dataclass
class PolicyHost:
    """`https://mta-sts.example.test`. `answer` is what follows the status line."""

    text: str = POLICY.format(mode="enforce", mx="*.example.test")
    status: str = "200 OK"
    content_type: str = "text/plain"
    asked: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(request.split()[1])
        body = self.text.encode()
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()


@dataclass
class World:
    host: PolicyHost
    records: dict[str, dict[str, Any]]
    now: float = 0.0
    sts: MtaSts = field(init=False)


@asynccontextmanager
async def world(pair: Pair, host: PolicyHost | None = None) -> AsyncIterator[World]:
    host = host or PolicyHost()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0, ssl=pair.server)
    host.port = server.sockets[0].getsockname()[1]
    records: dict[str, dict[str, Any]] = {
        "example.test": {"MX": [(10, "mx1.example.test")]},
        "mx1.example.test": {"A": ["127.0.0.11"]},
        "_mta-sts.example.test": {"TXT": ["v=STSv1; id=20261125;"]},
        "mta-sts.example.test": {"A": ["127.0.0.1"]},
    }
    the_world = World(host, records)
    http = OutgoingHttp(allow_private=True, resolver=StaticResolver(records), trust=lambda: pair.client)
    the_world.sts = MtaSts(_Live(the_world), http, port=host.port, clock=lambda: the_world.now)
    try:
        yield the_world
    finally:
        await http.close()
        server.close()
        await server.wait_closed()


class _Live:
    """A resolver that sees what a test changes."""

    def __init__(self, the_world: World) -> None:
        self._world = the_world

    async def mx(self, domain: str) -> list[tuple[int, str]]:
        return await StaticResolver(self._world.records).mx(domain)

    async def txt(self, name: str) -> list[bytes]:
        return await StaticResolver(self._world.records).txt(name)

    async def addresses(self, host: str) -> list[str]:
        return await StaticResolver(self._world.records).addresses(host)


@pytest.fixture(scope="module")
def sts_host(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair("mta-sts.example.test", tmp_path_factory.mktemp("sts"))


@pytest.fixture(scope="module")
def mx1(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair("mx1.example.test", tmp_path_factory.mktemp("mx1"))


# ---------------------------------------------------------------------- the formats


def test_a_policy() -> None:
    text = "version: STSv1\nmode: enforce\nmx: MX1.example.test\nmx: *.example.net\nmax_age: 604800\nfuture: thing\n"
    assert parse_policy(text) == StsPolicy("enforce", ("mx1.example.test", "*.example.net"), 604_800)
    assert parse_policy("version:STSv1\nmode:none\nmax_age:86400") == StsPolicy("none", (), 86_400)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "version"),
        ("<!doctype html><html>", "colon"),
        ("version: STSv2\nmode: none\nmax_age: 1\n", "version"),
        ("version: STSv1\nmode: maybe\nmx: a.test\nmax_age: 1\n", "mode"),
        ("version: STSv1\nmode: enforce\nmax_age: 1\n", "mx"),
        ("version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n", "mx"),
        ("version: STSv1\nmode: enforce\nmx: mx.*.test\nmax_age: 1\n", "mx"),
        ("version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1\n", "max_age"),
        ("version: STSv1\nmode: enforce\nmx: a.test\nmax_age: ٣\n", "max_age"),
        ("version: STSv1\nmode: enforce\nmx: a.test\n", "max_age"),
    ],
)
def test_what_is_no_policy(text: str, fault: str) -> None:
    with pytest.raises(StsError, match=fault):
        parse_policy(text)


def test_a_policy_counts_for_a_year_at_most() -> None:
    assert parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n").max_age == 31_557_600


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("mx1.example.test", True),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("mx2.example.test", False),
    ],
)
def test_a_star_stands_for_one_label(host: str, named: bool) -> None:
    assert StsPolicy("enforce", ("mx1.example.test", "*.example.net"), 1).names(host) is named


def test_the_record() -> None:
    assert parse_record([b"v=STSv1; id=2026A;", b"v=spf1 -all"]) == "2026A"
    assert parse_record([b"v=STSv1;id=1"]) == "1"
    assert parse_record([b"v=STSv1; id=1;", b"v=STSv1; id=2;"]) is None
    assert parse_record([b"v=STSv1; id=;"]) is None
    assert parse_record([b"v=STSv11; id=1;"]) is None
    assert parse_record([]) is None


# ---------------------------------------------------------------------- which policy counts


async def test_a_policy_is_fetched_once_and_again_when_its_id_changes(sts_host: Pair) -> None:
    async with world(sts_host) as the:
        found = await asyncio.gather(*[the.sts.policy("example.test") for _ in range(10)])
        assert {policy.mode for policy in found if policy} == {"enforce"}
        the.now += 400
        await the.sts.policy("example.test")
        assert the.host.asked == ["/.well-known/mta-sts.txt"]

        the.records["_mta-sts.example.test"] = {"TXT": ["v=STSv1; id=20261126;"]}
        the.host.text = POLICY.format(mode="testing", mx="*.example.test")
        the.now += 400
        changed = await the.sts.policy("example.test")
        assert changed is not None
        assert changed.mode == "testing"


@pytest.mark.parametrize("trouble", ["record gone", "DNS away", "policy host broken", "garbage"])
async def test_a_known_policy_cannot_be_taken_away(sts_host: Pair, trouble: str) -> None:
    async with world(sts_host) as the:
        assert await the.sts.policy("example.test")
        match trouble:
            case "record gone":
                del the.records["_mta-sts.example.test"]
            case "DNS away":
                the.records["_mta-sts.example.test"] = {"TXT": DnsUnavailable("x", "SERVFAIL")}
            case _:
                the.records["_mta-sts.example.test"] = {"TXT": ["v=STSv1; id=new;"]}
                the.host.status = "404 Not Found" if trouble == "policy host broken" else "200 OK"
                the.host.text = "no policy"
        the.now += 80_000
        policy = await the.sts.policy("example.test")
        assert policy is not None
        assert policy.mode == "enforce"
        the.now += 10_000  # older than its max_age
        assert await the.sts.policy("example.test") is None


@pytest.mark.parametrize(
    "host",
    [
        PolicyHost(status="404 Not Found"),
        PolicyHost(status="301 Moved Permanently"),
        PolicyHost(content_type="text/html"),
        PolicyHost(text="x" * 70_000),
        PolicyHost(text="nonsense"),
    ],
    ids=["missing", "redirect", "HTML", "too long", "nonsense"],
)
async def test_what_is_not_taken_for_a_policy(sts_host: Pair, host: PolicyHost) -> None:
    async with world(sts_host, host) as the:
        assert await the.sts.policy("example.test") is None
        assert len(host.asked) == 1
        the.now += 100
        assert await the.sts.policy("example.test") is None
        assert len(host.asked) == 1  # not asked for every message


async def test_a_policy_host_has_to_show_a_certificate(mx1: Pair) -> None:
    async with world(mx1) as the:  # for another name
        assert await the.sts.policy("example.test") is None


async def test_domains_without_a_record_have_no_policy(sts_host: Pair) -> None:
    async with world(sts_host) as the:
        assert await the.sts.policy("other.test") is None
        assert the.host.asked == []


# ---------------------------------------------------------------------- what it does to mail


async def send(the: World, server: ScriptedServer, trust: ssl.SSLContext | None = None) -> list[tuple[Any, ...]]:
    async with direct(
        {"127.0.0.11": server}, the.records, OPPORTUNISTIC, Security(the.sts), verified_context=trust
    ) as transport:
        results = await transport.deliver(envelope("ada@example.test"))
    return [
        (*outcome, result.tls, result.tls_source) for outcome, result in zip(outcomes(results), results, strict=True)
    ]


async def test_enforce_delivers_to_a_proven_server(sts_host: Pair, mx1: Pair) -> None:
    async with world(sts_host) as the:
        server = ScriptedServer(extensions=TLS, tls=mx1.server)
        assert await send(the, server, mx1.client) == [("delivered", 250, "2.0.0", True, "mta-sts")]


@pytest.mark.parametrize("trouble", ["no STARTTLS", "unknown authority", "other name"])
async def test_enforce_sends_nothing_to_an_unproven_server(
    sts_host: Pair, mx1: Pair, trouble: str, tmp_path: Path
) -> None:
    async with world(sts_host) as the:
        pair = make_pair("mx9.example.test", tmp_path) if trouble == "other name" else mx1
        server = ScriptedServer(extensions=EXTENSIONS if trouble == "no STARTTLS" else TLS, tls=pair.server)
        trust = pair.client if trouble == "other name" else None
        (result,) = await send(the, server, trust)
        assert result[0] == "deferred"
        assert result[2] in ("4.7.4", "4.7.5")
        assert result[4] == "mta-sts"
        assert not [line for line in server.commands if line.startswith("MAIL")]


async def test_enforce_skips_servers_that_the_policy_does_not_name(sts_host: Pair, mx1: Pair) -> None:
    async with world(sts_host, PolicyHost(text=POLICY.format(mode="enforce", mx="mx1.example.test"))) as the:
        the.records["example.test"] = {"MX": [(5, "mx.evil.test"), (10, "mx1.example.test")]}
        the.records["mx.evil.test"] = {"A": ["127.0.0.12"]}
        server, evil = ScriptedServer(extensions=TLS, tls=mx1.server), ScriptedServer()
        async with direct(
            {"127.0.0.11": server, "127.0.0.12": evil},
            the.records,
            OPPORTUNISTIC,
            Security(the.sts),
            verified_context=mx1.client,
        ) as transport:
            assert outcomes(await transport.deliver(envelope("ada@example.test"))) == [("delivered", 250, "2.0.0")]
            the.records["example.test"]["MX"].pop()
        assert evil.sessions == []
        async with direct({"127.0.0.12": evil}, the.records, OPPORTUNISTIC, Security(the.sts)) as transport:
            assert outcomes(await transport.deliver(envelope("ada@example.test"))) == [("deferred", None, "4.7.5")]
        assert evil.sessions == []


@pytest.mark.parametrize(("mode", "source"), [("testing", "mta-sts-testing"), ("none", "lane")])
async def test_testing_and_none_hold_up_nothing(sts_host: Pair, mode: str, source: str) -> None:
    async with world(sts_host, PolicyHost(text=POLICY.format(mode=mode, mx="nobody.example.test"))) as the:
        assert await send(the, ScriptedServer()) == [("delivered", 250, "2.0.0", False, source)]
