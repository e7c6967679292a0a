"""Both transports behind one protocol."""

from __future__ import annotations

import asyncio

import pytest

from penguinmails_sender.transports import Envelope, SimulatedTransport, SmtpTransport, Transport
from tests.sender.smtp.helpers import CONTENT, envelope, outcomes
from tests.sender.smtp.scripted_server import ScriptedServer, running


@pytest.mark.parametrize("final", [True, False])
async def test_smtp(final: bool) -> None:
    async with running(ScriptedServer(extensions=("PIPELINING", "AUTH PLAIN"))) as server:
        transport: Transport = SmtpTransport(
            "127.0.0.1", server.port, final=final, tls="off", username="u", password="p", hostname="me.test"
        )
        assert transport.final is final
        assert outcomes(await transport.deliver(envelope())) == [("delivered", 250, "2.0.0")]
        await transport.aclose()
    assert server.messages == [CONTENT]
    assert server.commands[0] == "EHLO me.test"
    assert server.commands[1].startswith("AUTH PLAIN ")
    assert server.commands[-1] == "QUIT"


def test_unknown_tls_policy() -> None:
    with pytest.raises(ValueError, match="maybe"):
        SmtpTransport("127.0.0.1", 25, final=False, tls="maybe")


async def test_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the simulated transport opened a connection")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", forbidden)
    expected = {
        "delivered": ("delivered", 250, "2.0.0"),
        "bounced": ("bounced", 550, "5.1.1"),
        "complained": ("delivered", 250, "2.0.0"),
        "deferred": ("deferred", 451, "4.7.1"),
        "suppressed": ("delivered", 250, "2.0.0"),
        "mailbox_full": ("deferred", 452, "4.2.2"),
        "spam": ("bounced", 550, "5.7.1"),
        "anybody": ("delivered", 250, "2.0.0"),
        "Bounced+label": ("bounced", 550, "5.1.1"),
        "not-bounced": ("delivered", 250, "2.0.0"),
    }
    transport: Transport = SimulatedTransport()
    recipients = tuple(f"{name}@sandbox.example" for name in expected)
    results = await transport.deliver(Envelope("s@example.com", recipients, CONTENT))
    await transport.aclose()

    assert transport.final
    assert dict(zip(expected, outcomes(results), strict=True)) == expected
    assert tuple(result.address for result in results) == recipients
    assert [result.address for result in results if result.complained] == ["complained@sandbox.example"]
