"""What the sending engine needs of a transport."""

from __future__ import annotations

from typing import Protocol

from penguinmails_sender.smtp import Envelope, RecipientResult


class Transport(Protocol):
    """`final`: a 250 means that the recipient's system has the message (direct, capture); otherwise it was only handed
    over (a smarthost), and what becomes of it is told later by a bounce or not at all."""

    @property
    def final(self) -> bool: ...

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        """A result for each recipient, in order. Raises nothing but cancellation."""
        ...

    async def aclose(self) -> None: ...
