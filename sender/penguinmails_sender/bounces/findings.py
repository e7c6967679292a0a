"""What a report says about one recipient."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penguinmails_sender.bounces.reasons import Action, Reason, Scope, facts


class Kind(StrEnum):
    BOUNCE = "bounce"
    FEEDBACK = "feedback"
    VACATION = "vacation"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Said:
    """What a mail system said, before it is judged. `status` is an enhanced status code or empty, `code` an SMTP reply
    code, `command` what was answered (`RCPT`, `DATA` ...), `relayed` whether the text is a server's, not the
    reporter's."""

    address: str
    diagnostic: str = ""
    status: str = ""
    action: str = "failed"
    remote_host: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """`dsn`: the enhanced status code (RFC 3463), empty for what has none. `hard`: this person cannot be reached.
    `delayed`: the reporter is still trying."""

    address: str
    kind: Kind
    reason: Reason
    hard: bool = False
    dsn: str = ""
    diagnostic: str = ""
    remote_host: str = ""
    delayed: bool = False

    @property
    def scope(self) -> Scope:
        return facts(self.reason).scope

    @property
    def action(self) -> Action:
        return facts(self.reason).action


def noted(address: str, kind: Kind, reason: Reason) -> Finding:
    """A finding that is no bounce."""
    return Finding(address, kind, reason)
