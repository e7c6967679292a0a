"""An asyncio SMTP client: pipelined, pooled, with one result per recipient."""

from __future__ import annotations

from penguinmails_sender.smtp.envelope import Envelope
from penguinmails_sender.smtp.pool import SmtpPool
from penguinmails_sender.smtp.results import Outcome, RecipientResult
from penguinmails_sender.smtp.settings import PoolLimits, SmtpOptions, Timeouts, TlsPolicy

__all__ = [
    "Envelope",
    "Outcome",
    "PoolLimits",
    "RecipientResult",
    "SmtpOptions",
    "SmtpPool",
    "Timeouts",
    "TlsPolicy",
]
