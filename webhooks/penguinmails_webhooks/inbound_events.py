"""Events of webhooks that others sent to us."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import InboundMessageId, InboundSourceId, Part

_MESSAGE: dict[str, Any] = {
    "message_id": "inm_01k5w8m3xjf2r9v0q4tz7h6cdp",
    "source_id": "ins_01k5w8m3xjf2r9v0q4tz7h6cdq",
    "source_name": "HubSpot",
    "scheme": "hubspot",
    "source_event": "contact.propertyChange",
    "delivery_id": None,
    "size_bytes": 412,
}


class InboundEventData(Part):
    """The same in every `inbound.*` event. The body is not part of it: get it by the id of the message."""

    message_id: InboundMessageId
    source_id: InboundSourceId
    source_name: str = Field(description="For people")
    scheme: str = Field(description="How the sender proved itself, such as `hubspot`; more may be added")
    source_event: str | None = Field(None, description="What the sender calls it; null when it does not say")
    delivery_id: str | None = Field(None, description="The sender's own id of the delivery; null when it has none")
    size_bytes: int = Field(ge=0, description="Of the body")


class InboundReceived(InboundEventData, EventData, event=EventType.INBOUND_RECEIVED, example=_MESSAGE):
    """A webhook of somebody else came in, was proven to be theirs, and is kept. Repeats are not told."""


class InboundFailed(
    InboundEventData,
    EventData,
    event=EventType.INBOUND_FAILED,
    example=_MESSAGE | {"errors": {"hubspot_sync": "ConnectionError: no answer"}},
):
    """What should be done with a received message was given up. It can be replayed."""

    errors: dict[str, str | None] = Field(description="By what gave up: the last reason")
