"""A door with the database behind it, and reports as mail systems write them."""

from __future__ import annotations

from collections.abc import Sequence
from email import message_from_bytes
from typing import Any

from penguinmails_core.config import BounceSettings
from penguinmails_sender.intake.door import open_door
from penguinmails_sender.intake.intake import BounceIntake
from penguinmails_sender.intake.verp import Verp
from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult
from penguinmails_sender.transports import SmtpTransport
from tests.sender.engine.world import BOX, World

VERP = Verp(BOX)
NO_MAILBOX = ("5.1.1", "smtp; 550 5.1.1 <{address}>: Recipient address rejected: User unknown")
BLOCKED = ("5.7.1", "smtp; 550 5.7.1 Our system has detected that this message is likely unsolicited mail")
FULL = ("4.2.2", "smtp; 452 4.2.2 The recipient's mailbox is over quota")


def dsn(
    *addresses: str,
    cause: tuple[str, str] = NO_MAILBOX,
    action: str = "failed",
    original: bytes = b"",
    label: str = "1",
) -> bytes:
    """A delivery status notification (RFC 3464)."""
    status, diagnostic = cause
    groups = "\r\n".join(
        f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Remote-MTA: dns; mx.example.com\r\nDiagnostic-Code: {diagnostic.format(address=address)}\r\n"
        for address in addresses
    )
    return (
        (
            f"From: MAILER-DAEMON@relay.example (Mail Delivery System)\r\nTo: <sender@acme.test>\r\n"
            f"Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <{label}@relay.example>\r\n"
            "MIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            f"Reporting-MTA: dns; relay.example\r\n\r\n{groups}\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\n"
        ).encode()
        + original
        + b"\r\n--b--\r\n"
    )


def complaint(original: bytes, *, fields: str = "", kind: str = "abuse") -> bytes:
    """A feedback report (RFC 5965)."""
    return (
        (
            "From: <feedback@provider.example>\r\nTo: <complaints@bounces.acme.test>\r\nSubject: FW: complaint\r\n"
            "MIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nThis is an abuse report.\r\n\r\n"
            "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
            f"Feedback-Type: {kind}\r\nUser-Agent: Loop/1\r\nVersion: 1\r\n{fields}\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\n"
        ).encode()
        + original
        + b"\r\n--b--\r\n"
    )


class Desk:
    """What has been sent, and the door that reports come back to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.changes = 0
        self.intake = BounceIntake(world.database.worker, VERP, self._changed)
        self.door = open_door(BounceSettings(_env_file=None, port=0), self.intake, None)

    def _changed(self) -> None:
        self.changes += 1

    async def sent(self, *addresses: str, **fields: Any) -> tuple[str, bytes]:
        """Send a message to all of them by the engine, through a relay that takes it; its return path and octets."""
        relay = SmtpTransport("127.0.0.1", self.world.inbox.server.port, final=False, tls="off")
        try:
            before = len(self.world.inbox.received)
            await self.world.accept(to=list(addresses), **fields)
            await self.world.engine(live=relay).run_once()
        finally:
            await relay.aclose()
        [received] = self.world.inbox.received[before:]
        return received.envelope_sender, received.raw

    async def paused_lanes(self) -> list[str]:
        rows = await self.world.database.worker.fetch("select provider_group from lanes where paused_until > now()")
        return [row["provider_group"] for row in rows]

    async def report(self, to: str, raw: bytes, sender: str = "") -> RecipientResult:
        """Hand a mail to the door over SMTP."""
        client = SmtpTransport("127.0.0.1", self.door.port, final=True, tls="off")
        try:
            [result] = await client.deliver(Envelope(sender, (to,), raw))
        finally:
            await client.aclose()
        return result

    async def taken(self, to: str, raw: bytes, sender: str = "") -> None:
        result = await self.report(to, raw, sender)
        assert result.outcome is Outcome.DELIVERED, result

    async def refused(self, to: str, raw: bytes, sender: str = "") -> None:
        result = await self.report(to, raw, sender)
        assert (result.outcome, result.code) == (Outcome.BOUNCED, 550), result

    # ------------------------------------------------------------------ what is on disk

    async def statuses(self) -> dict[str, str]:
        return {row["address"]: row["status"] for row in await self.world.recipients()}

    async def events_of(self, address: str) -> list[str]:
        rows = await self.world.rows(
            "select e.* from events e join email_recipients r on r.id = e.resource_id where r.address = $1 "
            "order by sequence",
            address,
        )
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["type"].removeprefix("email.") for row in rows]

    async def reports(self) -> list[Any]:
        return await self.world.rows("select * from bounce_reports order by id")

    async def rules(self) -> list[tuple[str, str, bool]]:
        return [(row["rule"], row["effect"], row["suppressed"]) for row in await self.reports()]

    async def refusals(self) -> list[Any]:
        return await self.world.rows("select * from refused_reports order by id")

    async def suppressions(self) -> list[Any]:
        return await self.world.rows("select * from suppressions order by id")


def header(raw: bytes, name: str) -> str:
    return str(message_from_bytes(raw)[name])


__all__: Sequence[str] = ["BLOCKED", "FULL", "NO_MAILBOX", "VERP", "Desk", "complaint", "dsn", "header"]
