"""The worker's direct transport, made of settings."""

from __future__ import annotations

import pytest

from penguinmails_api.runtime.direct import open_direct
from penguinmails_api.runtime.worker import open_transport
from penguinmails_core.config import ConfigError, SenderSettings
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_sender.transports import DirectMxTransport
from tests.sender.mx.world import free_port
from tests.sender.smtp.helpers import envelope, outcomes
from tests.sender.smtp.scripted_server import ScriptedServer, running


async def test_settings_become_a_transport_that_delivers() -> None:
    server, port = ScriptedServer(), free_port()
    settings = SenderSettings(
        transport="direct", hostname="me.test.", port=port, source_address="127.0.0.33", allow_private=True, tls="off"
    )
    transport = open_direct(settings, StaticResolver({"example.test": {"A": ["127.0.0.11"]}}))
    async with running(server, address="127.0.0.11", port=port):
        try:
            assert outcomes(await transport.deliver(envelope("a@example.test"))) == [("delivered", 250, "2.0.0")]
        finally:
            await transport.aclose()
    assert transport.final
    assert server.commands[0] == "EHLO me.test"
    assert server.sessions[0].peer == "127.0.0.33"


async def test_private_addresses_are_refused_by_default() -> None:
    transport = open_direct(
        SenderSettings(transport="direct", hostname="me.test"), StaticResolver({"example.test": {"A": ["127.0.0.11"]}})
    )
    results = await transport.deliver(envelope("a@example.test"))
    await transport.aclose()
    assert outcomes(results) == [("bounced", None, "5.4.5")]


async def test_direct_is_chosen_by_name() -> None:
    transport = open_transport(SenderSettings(transport="direct", hostname="mail.example.com"))
    assert isinstance(transport, DirectMxTransport)
    await transport.aclose()


def test_a_machine_without_a_name_may_not_deliver() -> None:
    with pytest.raises(ConfigError, match="PENGUINMAILS_SENDER_HOSTNAME"):
        open_transport(SenderSettings(transport="direct"))


def test_tls_from_the_first_octet_is_not_for_mail_servers() -> None:
    with pytest.raises(ConfigError, match="required"):
        open_transport(SenderSettings(transport="direct", hostname="mail.example.com", tls="implicit"))
