"""RFC 7505 before any connection."""

from __future__ import annotations

from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_sender.smtp import Envelope, Outcome
from penguinmails_sender.smtpd.server import SmtpServer
from penguinmails_sender.transports import NullMxGuard, SmtpTransport

RECORDS = {
    "no-mail.test": {"MX": [(0, ".")]},
    "example.test": {"MX": [(10, "mx.example.test")]},
    "broken.test": {"MX": DnsUnavailable("broken.test", "no answer")},
}


async def deliver(recipients: tuple[str, ...]) -> tuple[list[tuple[str, Outcome, str | None]], list[tuple[str, ...]]]:
    """What became of each recipient, and whom the server was told of."""
    seen: list[tuple[str, ...]] = []
    server = SmtpServer(lambda received: seen.append(received.recipients))
    await server.start()
    transport = NullMxGuard(
        SmtpTransport("127.0.0.1", server.port, final=False, tls="off"),
        StaticResolver(RECORDS),  # type: ignore[arg-type]
    )
    try:
        results = await transport.deliver(Envelope("a@acme.test", recipients, b"Subject: x\r\n\r\nx\r\n"))
        return [(r.address, r.outcome, r.enhanced_code) for r in results], seen
    finally:
        await transport.aclose()
        await server.stop()


async def test_a_domain_that_takes_no_mail_is_bounced_without_a_connection() -> None:
    results, seen = await deliver(("a@no-mail.test", "b@NO-MAIL.test"))
    assert [(outcome, code) for _, outcome, code in results] == [(Outcome.BOUNCED, "5.1.10")] * 2
    assert seen == []


async def test_the_others_of_the_message_get_their_mail() -> None:
    results, seen = await deliver(("a@example.test", "b@no-mail.test", "c@example.test"))
    assert [outcome for _, outcome, _ in results] == [Outcome.DELIVERED, Outcome.BOUNCED, Outcome.DELIVERED]
    assert [address for address, _, _ in results] == ["a@example.test", "b@no-mail.test", "c@example.test"]
    assert seen == [("a@example.test", "c@example.test")]


async def test_a_resolver_that_fails_stops_nobody() -> None:
    results, seen = await deliver(("a@broken.test", "b@unknown.test"))
    assert [outcome for _, outcome, _ in results] == [Outcome.DELIVERED] * 2
    assert len(seen) == 1
