"""Which server gets the mail, and what becomes of a recipient when none takes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_core.kit.dns import DnsUnavailable
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.routes import Routes
from penguinmails_sender.smtp import Envelope
from penguinmails_sender.transports import Transport
from tests.sender.mx.world import direct
from tests.sender.smtp.helpers import CONTENT, envelope, outcomes
from tests.sender.smtp.scripted_server import CLOSE, DROP, EXTENSIONS, ScriptedServer

OK = ("delivered", 250, "2.0.0")
ONE = {
    "example.test": {"MX": [(10, "mx1.example.test")]},
    "mx1.example.test": {"A": ["127.0.0.11"]},
}
TWO: dict[str, dict[str, Any]] = {
    "example.test": {"MX": [(20, "mx2.example.test"), (10, "mx1.example.test")]},
    "mx1.example.test": {"A": ["127.0.0.11"]},
    "mx2.example.test": {"A": ["127.0.0.12"]},
}


def to(*recipients: str) -> Envelope:
    return envelope(*recipients or ("ada@example.test",))


async def test_the_best_server_is_asked_first() -> None:
    first, second = ScriptedServer(), ScriptedServer()
    async with direct({"127.0.0.11": first, "127.0.0.12": second}, TWO) as transport:
        as_transport: Transport = transport
        assert as_transport.final
        results = await transport.deliver(to())
    assert outcomes(results) == [OK]
    assert results[0].remote_host == "mx1.example.test"
    assert first.messages == [CONTENT]
    assert first.commands[0] == "EHLO me.test"
    assert second.sessions == []


async def test_equal_servers_share_the_load() -> None:
    servers = {f"127.0.0.{n}": ScriptedServer() for n in (11, 12, 13)}
    records: dict[str, Any] = {"example.test": {"MX": [(10, f"mx{n}.example.test") for n in (11, 12, 13)]}}
    records |= {f"mx{n}.example.test": {"A": [f"127.0.0.{n}"]} for n in (11, 12, 13)}
    async with direct(servers, records, ConnectionPolicy(tls="off", messages_per_connection=1)) as transport:
        for _ in range(30):
            await transport.deliver(to())
    counts = [len(server.messages) for server in servers.values()]
    assert sum(counts) == 30
    assert min(counts) > 3


async def test_an_open_connection_is_better_than_a_new_one_to_an_equal_server() -> None:
    servers = {f"127.0.0.{n}": ScriptedServer() for n in (11, 12, 13)}
    records: dict[str, Any] = {"example.test": {"MX": [(10, f"mx{n}.example.test") for n in (11, 12, 13)]}}
    records |= {f"mx{n}.example.test": {"A": [f"127.0.0.{n}"]} for n in (11, 12, 13)}
    async with direct(servers, records) as transport:
        for _ in range(10):
            await transport.deliver(to())
    assert sum(len(server.sessions) for server in servers.values()) == 1


@pytest.mark.parametrize(
    "trouble",
    [None, "421 4.3.2 no service now", "554 5.3.2 no SMTP service here", DROP, CLOSE],
    ids=["nobody listens", "4yz greeting", "5yz greeting", "reset", "closed"],
)
async def test_the_next_server_is_asked_when_one_does_not_want_to_talk(trouble: str | None) -> None:
    servers = {"127.0.0.12": ScriptedServer()}
    if trouble is not None:
        servers["127.0.0.11"] = ScriptedServer({"greeting": trouble})
    async with direct(servers, TWO) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [OK]
    assert results[0].remote_host == "mx2.example.test"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, ("bounced", 550, "5.1.1")),
        ({"RCPT": "450 4.2.0 greylisted, come back later"}, ("deferred", 450, "4.2.0")),
        ({".": "554 5.7.1 spam"}, ("bounced", 554, "5.7.1")),
    ],
    ids=["unknown user", "greylisting", "content"],
)
async def test_what_a_server_says_of_a_recipient_is_not_asked_again_elsewhere(
    answers: dict[str, str], expected: tuple[str, int, str]
) -> None:
    second = ScriptedServer()
    refusing = ScriptedServer(answers)
    async with direct({"127.0.0.11": refusing, "127.0.0.12": second}, TWO) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [expected]
    assert second.sessions == []


async def test_421_to_the_first_command_is_a_server_that_does_not_want_to_talk() -> None:
    servers = {"127.0.0.11": ScriptedServer({"MAIL": "421 4.3.2 going down"}), "127.0.0.12": ScriptedServer()}
    async with direct(servers, TWO) as transport:
        assert outcomes(await transport.deliver(to())) == [OK]


async def test_a_lost_answer_is_not_asked_for_elsewhere() -> None:
    second = ScriptedServer()
    async with direct({"127.0.0.11": ScriptedServer({".": DROP}), "127.0.0.12": second}, TWO) as transport:
        results = await transport.deliver(to())
    assert results[0].outcome == "ambiguous"
    assert second.sessions == []


async def test_a_connection_lost_before_the_message_is_continued_elsewhere() -> None:
    first, second = ScriptedServer({"DATA": DROP, "RCPT TO:<no": "550 5.1.1 no"}), ScriptedServer()
    async with direct({"127.0.0.11": first, "127.0.0.12": second}, TWO) as transport:
        results = await transport.deliver(to("no@example.test", "ada@example.test"))
    assert outcomes(results) == [("bounced", 550, "5.1.1"), OK]
    assert [line for line in second.commands if line.startswith("RCPT")] == ["RCPT TO:<ada@example.test>"]


async def test_no_more_than_two_servers_are_bothered_when_they_refuse_us() -> None:
    servers = {f"127.0.0.{n}": ScriptedServer({"greeting": "421 4.7.0 too many from you"}) for n in range(11, 15)}
    records: dict[str, Any] = {"example.test": {"MX": [(n, f"mx{n}.example.test") for n in range(11, 15)]}}
    records |= {f"mx{n}.example.test": {"A": [f"127.0.0.{n}"]} for n in range(11, 15)}
    async with direct(servers, records) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [("deferred", 421, "4.7.0")]
    assert sum(len(server.sessions) for server in servers.values()) == 2


async def test_without_mx_the_domain_itself_is_the_server() -> None:
    server = ScriptedServer()
    async with direct({"127.0.0.11": server}, {"example.test": {"A": ["127.0.0.11"]}}) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [OK]
    assert results[0].remote_host == "example.test"


@pytest.mark.parametrize(
    ("records", "outcome", "code"),
    [
        ({"example.test": {"MX": [(0, ".")], "A": ["127.0.0.11"]}}, "bounced", "5.1.10"),
        ({}, "bounced", "5.1.2"),
        ({"example.test": {"TXT": ["v=spf1 -all"]}}, "bounced", "5.1.2"),
        ({"example.test": {"MX": DnsUnavailable("example.test", "SERVFAIL")}}, "deferred", "4.4.3"),
        ({"example.test": {"A": DnsUnavailable("example.test", "SERVFAIL")}}, "deferred", "4.4.3"),
        ({"example.test": {"MX": [(10, "gone.test")]}}, "bounced", "5.4.4"),
        ({"example.test": {"MX": [(10, "mx.test")]}, "mx.test": {}}, "bounced", "5.4.4"),
        (
            {
                "example.test": {"MX": [(10, "gone.test"), (20, "mx.test")]},
                "mx.test": {"A": DnsUnavailable("mx.test", "SERVFAIL")},
            },
            "deferred",
            "4.4.3",
        ),
        ({"example.test": {"MX": [(10, "me.test")]}, "me.test": {"A": ["127.0.0.11"]}}, "bounced", "5.4.6"),
        (
            {
                "example.test": {"MX": [(10, "ME.test."), (20, "mx.test")]},
                "mx.test": {"A": ["127.0.0.11"]},
            },
            "bounced",
            "5.4.6",
        ),
    ],
    ids=[
        "null MX",
        "no such domain",
        "no MX, no address",
        "no answer about MX",
        "no answer about addresses",
        "server does not exist",
        "server without address",
        "one gone, one unknown",
        "we are the server",
        "we are the best server",
    ],
)
async def test_what_dns_says(records: dict[str, Any], outcome: str, code: str) -> None:
    server = ScriptedServer()
    async with direct({"127.0.0.11": server}, records) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [(outcome, None, code)]
    assert server.sessions == []


async def test_servers_better_than_us_are_delivered_to() -> None:
    server = ScriptedServer()
    records = {
        "example.test": {"MX": [(5, "mx1.example.test"), (10, "me.test"), (20, "worse.test")]},
        "mx1.example.test": {"A": ["127.0.0.11"]},
    }
    async with direct({"127.0.0.11": server}, records) as transport:
        assert outcomes(await transport.deliver(to())) == [OK]


@pytest.mark.parametrize(
    "address", ["127.0.0.11", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.11"]
)
async def test_nobody_can_point_us_at_our_inside(address: str) -> None:
    server = ScriptedServer()
    records = {
        "example.test": {"MX": [(10, "mx1.example.test")]},
        "mx1.example.test": {"AAAA" if ":" in address else "A": [address]},
    }
    async with direct({"127.0.0.11": server}, records, allow_private=False) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [("bounced", None, "5.4.5")]
    assert address not in results[0].reply
    assert server.sessions == []


async def test_address_literals_are_not_called() -> None:
    async with direct({}, {}) as transport:
        assert outcomes(await transport.deliver(to("ada@[127.0.0.1]"))) == [("bounced", None, "5.1.2")]


async def test_a_dead_address_does_not_hold_up_a_living_one() -> None:
    """One server with two addresses, of which nobody answers at one (RFC 8305)."""
    server = ScriptedServer()
    records = {
        "example.test": {"MX": [(10, "mx1.example.test")]},
        "mx1.example.test": {"A": ["127.0.0.11", "127.0.0.12"], "AAAA": ["::1"]},
    }
    async with direct(
        {"127.0.0.11": server}, records, ConnectionPolicy(tls="off", messages_per_connection=1)
    ) as transport:
        for _ in range(6):  # in whatever order they are tried
            assert outcomes(await transport.deliver(to())) == [OK]


async def test_domains_of_one_message_are_served_side_by_side_and_results_keep_their_order() -> None:
    servers = {"127.0.0.11": ScriptedServer(), "127.0.0.12": ScriptedServer({"RCPT TO:<no": "550 5.1.1 no"})}
    records = {
        "one.test": {"A": ["127.0.0.11"]},
        "two.test": {"A": ["127.0.0.12"]},
        "null.test": {"MX": [(0, "")]},
    }
    addresses = ("a@one.test", "no@two.test", "b@ONE.test", "x@null.test", "yes@two.test")
    async with direct(servers, records) as transport:
        results = await transport.deliver(to(*addresses))
    assert tuple(result.address for result in results) == addresses
    assert outcomes(results) == [OK, ("bounced", 550, "5.1.1"), OK, ("bounced", None, "5.1.10"), OK]
    assert [line for line in servers["127.0.0.11"].commands if line.startswith("RCPT")] == [
        "RCPT TO:<a@one.test>",
        "RCPT TO:<b@ONE.test>",
    ]


async def test_domains_on_the_same_server_share_its_connections() -> None:
    server = ScriptedServer()
    records: dict[str, Any] = {f"d{n}.test": {"MX": [(10, "mx1.example.test")]} for n in range(10)}
    records["mx1.example.test"] = {"A": ["127.0.0.11"]}
    policy = ConnectionPolicy(tls="off", messages_per_connection=4, max_connections=2)
    async with direct({"127.0.0.11": server}, records, policy) as transport:
        results = await asyncio.gather(*[transport.deliver(to(f"a@d{n}.test")) for n in range(10)])
        assert max(server.open_sessions for _ in results) <= 2
    assert [outcomes(result) for result in results] == [[OK]] * 10
    assert len(server.sessions) <= 4
    assert max(len(session.messages) for session in server.sessions) == 4


async def test_a_lane_chooses_the_address_that_mail_leaves_from() -> None:
    server = ScriptedServer()
    lanes = [ConnectionPolicy(source_address=f"127.0.0.{n}", tls="off") for n in (31, 32)]
    async with direct({"127.0.0.11": server}, ONE) as transport:
        for lane in [*lanes, *lanes]:
            message = Envelope("s@acme.test", ("ada@example.test",), CONTENT, policy=lane)
            assert outcomes(await transport.deliver(message)) == [OK]
    assert sorted((session.peer, len(session.messages)) for session in server.sessions) == [
        ("127.0.0.31", 2),
        ("127.0.0.32", 2),
    ]


async def test_an_address_of_ours_that_is_not_there_defers() -> None:
    async with direct({"127.0.0.11": ScriptedServer()}, ONE, ConnectionPolicy("203.0.113.1", "off")) as transport:
        results = await transport.deliver(to())
    assert outcomes(results) == [("deferred", None, None)]


async def test_a_server_of_the_other_family_than_ours_defers() -> None:
    async with direct({"127.0.0.11": ScriptedServer()}, ONE, ConnectionPolicy("::1", "off")) as transport:
        results = await transport.deliver(to())
    assert results[0].outcome == "deferred"
    assert "family" in results[0].reply


async def test_dns_is_asked_once_for_many_messages() -> None:
    asked: list[str] = []

    class Counting:
        async def mx(self, domain: str) -> list[tuple[int, str]]:
            asked.append(f"MX {domain}")
            await asyncio.sleep(0)
            return [(10, "mx1.example.test")]

        async def addresses(self, host: str) -> list[str]:
            asked.append(f"A {host}")
            await asyncio.sleep(0)
            return ["127.0.0.11"]

        async def txt(self, name: str) -> list[bytes]:
            raise AssertionError(name)

    routes = Routes(Counting(), allow_private=True)
    found = await asyncio.gather(*[routes.route("example.test") for _ in range(20)])
    where = await asyncio.gather(*[routes.addresses(route.tiers[0][0]) for route in found])
    assert where == [("127.0.0.11",)] * 20
    assert asked == ["MX example.test", "A mx1.example.test"]


async def test_reports_are_asked_for_where_the_server_knows_dsn() -> None:
    knows, does_not = ScriptedServer(extensions=(*EXTENSIONS, "DSN")), ScriptedServer()
    records = {"one.test": {"A": ["127.0.0.11"]}, "two.test": {"A": ["127.0.0.12"]}}
    message = Envelope("s@acme.test", ("a+b@one.test", "c@two.test"), CONTENT, envelope_id="msg_01=")
    async with direct({"127.0.0.11": knows, "127.0.0.12": does_not}, records) as transport:
        assert outcomes(await transport.deliver(message)) == [OK, OK]
    assert knows.commands[1:3] == [
        f"MAIL FROM:<s@acme.test> SIZE={len(CONTENT)} RET=HDRS ENVID=msg_01+3D",
        "RCPT TO:<a+b@one.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@one.test",
    ]
    assert "RET=" not in "".join(does_not.commands)
    assert "NOTIFY=" not in "".join(does_not.commands)


@pytest.mark.parametrize("tls", ["maybe", "implicit"])
async def test_an_unknown_tls_policy_is_no_policy(tls: str) -> None:
    async with direct({"127.0.0.11": ScriptedServer()}, ONE) as transport:
        message = Envelope("s@acme.test", ("ada@example.test",), CONTENT, policy=ConnectionPolicy(tls=tls))
        assert outcomes(await transport.deliver(message)) == [("deferred", None, "4.3.5")]
    with pytest.raises(ValueError, match=r"tls|maybe"):
        async with direct({}, ONE, ConnectionPolicy(tls=tls)):
            pass
