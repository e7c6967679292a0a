"""Where mail goes, behind one protocol."""

from __future__ import annotations

from penguinmails_sender.smtp import Envelope, Outcome, RecipientResult
from penguinmails_sender.transports.base import Transport
from penguinmails_sender.transports.direct_mx import DirectMxTransport
from penguinmails_sender.transports.null_mx import NullMxGuard
from penguinmails_sender.transports.simulated import SimulatedTransport
from penguinmails_sender.transports.smtp import SmtpTransport

__all__ = [
    "DirectMxTransport",
    "Envelope",
    "NullMxGuard",
    "Outcome",
    "RecipientResult",
    "SimulatedTransport",
    "SmtpTransport",
    "Transport",
]
