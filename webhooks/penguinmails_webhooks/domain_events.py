"""Events of sending domains."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import DomainEventData, DriftedRecord, Timestamp

_DOMAIN: dict[str, Any] = {
    "domain_id": "dom_01k5w8m3xjf2r9v0q4tz7h6cdn",
    "name": "penguins.example",
    "status": "pending",
}


class DomainCreated(DomainEventData, EventData, event=EventType.DOMAIN_CREATED, example=_DOMAIN):
    """A sending domain was added. Nothing is sent from it until it is verified."""


class DomainVerified(
    DomainEventData, EventData, event=EventType.DOMAIN_VERIFIED, example=_DOMAIN | {"status": "verified"}
):
    """DNS proves who controls the domain; mail can be sent from it."""


class DomainFailed(
    DomainEventData,
    EventData,
    event=EventType.DOMAIN_FAILED,
    example=_DOMAIN | {"status": "failed", "reason": "records_missing"},
):
    """A look at DNS did not find what proves control, so nothing is sent from the domain."""

    reason: str = Field(description="Why, in one word: `records_missing` or `taken_over`; more may be added")


class DomainDrift(
    DomainEventData,
    EventData,
    event=EventType.DOMAIN_DRIFT,
    example=_DOMAIN
    | {
        "status": "verified",
        "records": [
            {
                "type": "TXT",
                "name": "_dmarc.penguins.example",
                "expected": "v=DMARC1; p=quarantine",
                "found": ["v=DMARC1; p=none"],
            }
        ],
        "sending_ends_at": None,
    },
):
    """DNS of a verified domain is no longer what it was set up to be. Mail is still sent; it may be trusted less. When
    what proves control has gone, the domain fails at the end of its grace (`grace_until` of the domain)."""

    records: list[DriftedRecord] = Field(description="What differs")
    sending_ends_at: Timestamp | None = Field(
        description="When the domain fails, unless the key that proves control comes back; null while that is there"
    )


class DomainDeleted(DomainEventData, EventData, event=EventType.DOMAIN_DELETED, example=_DOMAIN):
    """A sending domain was deleted with its keys. What still waited to be sent from it fails."""
