"""Test mode: answers that depend on the recipient, and never a socket."""

from __future__ import annotations

from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult

_HOST = "simulated"
# What a local part (before any +label) stands for: outcome, code, enhanced status code, reply.
MAGIC: dict[str, tuple[Outcome, int, str, str]] = {
    "bounced": (Outcome.BOUNCED, 550, "5.1.1", "No such mailbox"),
    "deferred": (Outcome.DEFERRED, 451, "4.7.1", "Try again later"),
    "mailbox_full": (Outcome.DEFERRED, 452, "4.2.2", "Mailbox full"),
    "spam": (Outcome.BOUNCED, 550, "5.7.1", "Refused by policy"),
}
_DELIVERED = (Outcome.DELIVERED, 250, "2.0.0", "Accepted in test mode")


class SimulatedTransport:
    """`delivered@`, `bounced@`, `complained@`, `deferred@`, `mailbox_full@`, `spam@` of any domain do what they say;
    everybody else receives their mail."""

    final = True

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        return [_simulate(address) for address in envelope.recipients]

    async def aclose(self) -> None:
        return None


def _simulate(address: str) -> RecipientResult:
    name = address.partition("@")[0].partition("+")[0].lower()
    outcome, code, enhanced, reply = MAGIC.get(name, _DELIVERED)
    return RecipientResult(address, outcome, code, enhanced, reply, _HOST, complained=name == "complained")
