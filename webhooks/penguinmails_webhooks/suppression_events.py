"""Events of the suppression list."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import SuppressionEventData

_SUPPRESSION: dict[str, Any] = {
    "suppression_id": "sup_01k5w8m3xjf2r9v0q4tz7h6cdm",
    "address": "ada@example.com",
    "reason": "hard_bounce",
    "note": None,
    "evidence": {
        "email_id": "msg_01k5w8m3xjf2r9v0q4tz7h6cde",
        "recipient_id": "rcp_01k5w8m3xjf2r9v0q4tz7h6cdf",
        "code": 550,
        "enhanced_code": "5.1.1",
        "reply": "5.1.1 The mailbox does not exist",
        "remote_host": "mx.example.com",
        "observed_at": "2026-11-24T12:00:00.000Z",
    },
    "expires_at": None,
    "scope": "organization",
    "scope_value": None,
}


class SuppressionCreated(SuppressionEventData, EventData, event=EventType.SUPPRESSION_CREATED, example=_SUPPRESSION):
    """An address is not mailed any more: it bounced, its owner said no, or somebody put it on the list."""


class SuppressionLifted(
    SuppressionEventData, EventData, event=EventType.SUPPRESSION_LIFTED, example=_SUPPRESSION | {"consent": False}
):
    """An address was taken off the suppression list; it may be mailed again."""

    consent: bool = Field(description="Whether it was stated that the person has asked to be mailed again")


class SuppressionRestored(SuppressionEventData, EventData, event=EventType.SUPPRESSION_RESTORED, example=_SUPPRESSION):
    """A lift was taken back: the address is not mailed, as before."""
