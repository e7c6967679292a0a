"""A message's status, derived from its recipients: nothing is stored that could disagree with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from penguinmails_core.models import RecipientStatus


class EmailStatus(StrEnum):
    """The status all recipients share; else the most urgent open one (sending, queued, deferred); else `partial`."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    COMPLAINED = "complained"
    PARTIAL = "partial"


_OPEN = (RecipientStatus.SENDING, RecipientStatus.QUEUED, RecipientStatus.DEFERRED)


def derive(recipients: Iterable[str], scheduled_at: datetime | None, now: datetime) -> EmailStatus:
    """`recipients` are the statuses of all recipients."""
    statuses = set(recipients)
    if statuses == {RecipientStatus.QUEUED} and scheduled_at is not None and scheduled_at > now:
        return EmailStatus.SCHEDULED
    if len(statuses) == 1:
        return EmailStatus(statuses.pop())
    return next((EmailStatus(status) for status in _OPEN if status in statuses), EmailStatus.PARTIAL)
