"""RFC 7672: certificates that DNSSEC names."""

from __future__ import annotations

from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.mx.security import Security
from penguinmails_sender.smtp import RecipientResult
from tests.sender.mx.world import direct
from tests.sender.smtp.certificates import Pair, make_pair
from tests.sender.smtp.helpers import envelope, outcomes
from tests.sender.smtp.scripted_server import EXTENSIONS, ScriptedServer

TLS = (*EXTENSIONS, "STARTTLS")
TLSA = "_25._tcp.mx1.example.test"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair("mx1.example.test", tmp_path_factory.mktemp("dane"))


def octets(pair: Pair, usage: int, selector: int, matching: int) -> tuple[int, int, int, bytes]:
    certificate = pair.certificate if usage == 3 else pair.authority
    data = (
        certificate.public_bytes(Encoding.DER)
        if selector == 0
        else certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    matched = {0: data, 1: sha256(data).digest(), 2: sha512(data).digest()}[matching]
    return usage, selector, matching, matched


def records(*tlsa: tuple[int, int, int, bytes], **changed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "example.test": {"MX": [(10, "mx1.example.test")], "SECURE": True},
        "mx1.example.test": {"A": ["127.0.0.11"], "SECURE": True},
        TLSA: {"TLSA": list(tlsa), "SECURE": True},
        **{name.replace("__", "."): table for name, table in changed.items()},
    }


async def send(
    server: ScriptedServer, dns: dict[str, dict[str, Any]], policy: ConnectionPolicy | None = None
) -> RecipientResult:
    security = Security(resolver=StaticResolver(dns))
    async with direct({"127.0.0.11": server}, dns, policy or ConnectionPolicy(), security) as transport:
        (result,) = await transport.deliver(envelope("ada@example.test"))
    return result


def said_mail(server: ScriptedServer) -> bool:
    return any(line.startswith("MAIL") for line in server.commands)


@pytest.mark.parametrize("usage", [2, 3])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
async def test_the_right_certificate_is_delivered_to(pair: Pair, usage: int, selector: int, matching: int) -> None:
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    result = await send(server, records(octets(pair, usage, selector, matching)))
    assert outcomes([result]) == [("delivered", 250, "2.0.0")]
    assert (result.tls, result.tls_source) == (True, "dane")
    assert result.tls_version in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("usage", [2, 3])
async def test_another_certificate_gets_nothing(pair: Pair, usage: int, tmp_path: Path) -> None:
    other = make_pair("mx1.example.test", tmp_path)
    server = ScriptedServer(extensions=TLS, tls=other.server)
    result = await send(server, records(octets(pair, usage, 1, 1)))
    assert outcomes([result]) == [("deferred", None, "4.7.5")]
    assert result.tls_source == "dane"
    assert not said_mail(server)


async def test_one_match_of_several_records_is_enough(pair: Pair, tmp_path: Path) -> None:
    other = make_pair("mx1.example.test", tmp_path)
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    result = await send(server, records(octets(other, 3, 1, 1), octets(pair, 3, 1, 1)))
    assert result.outcome == "delivered"


async def test_below_a_trust_anchor_the_name_counts_and_for_the_own_certificate_it_does_not(tmp_path: Path) -> None:
    elsewhere = make_pair("mx9.example.test", tmp_path)
    server = ScriptedServer(extensions=TLS, tls=elsewhere.server)
    assert (await send(server, records(octets(elsewhere, 2, 1, 1)))).outcome == "deferred"
    assert not said_mail(server)
    assert (await send(server, records(octets(elsewhere, 3, 1, 1)))).outcome == "delivered"


async def test_the_domain_itself_may_be_named_too(tmp_path: Path) -> None:
    domain = make_pair("example.test", tmp_path)
    server = ScriptedServer(extensions=TLS, tls=domain.server)
    assert (await send(server, records(octets(domain, 2, 0, 1)))).outcome == "delivered"


async def test_a_server_that_hides_starttls_gets_nothing(pair: Pair) -> None:
    server = ScriptedServer()
    result = await send(server, records(octets(pair, 3, 1, 1)))
    assert outcomes([result]) == [("deferred", None, "4.7.4")]
    assert not said_mail(server)


@pytest.mark.parametrize("where", ["example.test", "mx1.example.test", TLSA])
async def test_what_dnssec_does_not_vouch_for_does_not_count(pair: Pair, where: str) -> None:
    dns = records(octets(pair, 3, 1, 1))
    dns[where]["SECURE"] = False
    server = ScriptedServer()  # no TLS at all
    result = await send(server, dns)
    assert outcomes([result]) == [("delivered", 250, "2.0.0")]
    assert result.tls_source == "lane"


@pytest.mark.parametrize(
    "record", [(0, 0, 1, b"x" * 32), (1, 1, 1, b"x" * 32), (3, 7, 1, b"x" * 32), (3, 1, 9, b"x"), (3, 1, 1, b"short")]
)
async def test_unusable_records_ask_for_encryption_without_a_name(
    pair: Pair, record: tuple[int, int, int, bytes]
) -> None:
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    result = await send(server, records(record))
    assert (result.outcome, result.tls, result.tls_source) == ("delivered", True, "dane")
    plain = ScriptedServer()
    assert outcomes([await send(plain, records(record))]) == [("deferred", None, "4.7.4")]
    assert not said_mail(plain)


async def test_no_answer_about_the_records_sends_nothing() -> None:
    """Who can hold back an answer must not be able to hold back the records (§2.1.2)."""
    dns = records()
    dns[TLSA] = {"TLSA": DnsUnavailable(TLSA, "SERVFAIL"), "SECURE": True}
    server = ScriptedServer()
    assert outcomes([await send(server, dns)]) == [("deferred", None, "4.7.5")]
    assert server.sessions == []


async def test_servers_without_records_are_ordinary_ones() -> None:
    dns = records()
    del dns[TLSA]
    result = await send(ScriptedServer(), dns)
    assert (result.outcome, result.tls_source) == ("delivered", "lane")


async def test_a_lane_that_wants_less_gets_what_the_domain_wants(pair: Pair) -> None:
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    result = await send(server, records(octets(pair, 3, 1, 1)), ConnectionPolicy(tls="off"))
    assert (result.outcome, result.tls) == ("delivered", True)
