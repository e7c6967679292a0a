"""Events of campaigns, of the contacts that they write to, and of imports."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import CampaignId, ContactId, ImportId, Part

_CONTACT: dict[str, Any] = {
    "contact_id": "ctc_01k5w8m3xjf2r9v0q4tz7h6cdt",
    "address": "ada@example.com",
    "name": "Ada Lovelace",
}
_CAMPAIGN: dict[str, Any] = {
    "campaign_id": "cmp_01k5w8m3xjf2r9v0q4tz7h6cdv",
    "name": "Antarctic resellers",
    "status": "active",
}
_IMPORT: dict[str, Any] = {
    "import_id": "imp_01k5w8m3xjf2r9v0q4tz7h6cdw",
    "kind": "contacts",
    "total": 1000,
    "created": 940,
    "updated": 40,
    "skipped": 15,
    "failed": 5,
}


class ContactEventData(Part):
    """The same in every `contact.*` event."""

    contact_id: ContactId
    address: str
    name: str | None = None


class ContactCreated(ContactEventData, EventData, event=EventType.CONTACT_CREATED, example=_CONTACT, available=False):
    """A contact was made. Imports tell of themselves as a whole, not of each contact."""


class ContactUpdated(
    ContactEventData,
    EventData,
    event=EventType.CONTACT_UPDATED,
    example=_CONTACT | {"changed": ["name"]},
    available=False,
):
    """A contact was changed: its name, its address, or what else is known of it."""

    changed: list[str] = Field(description="Names of the fields that differ now")


class ContactUnsubscribed(
    ContactEventData,
    EventData,
    event=EventType.CONTACT_UNSUBSCRIBED,
    example=_CONTACT | {"method": "one_click"},
    available=False,
):
    """A contact does not want to be written to any more."""

    method: str = Field(description="`one_click` (RFC 8058), `link`, `mailto`, `reply` or `manual`; more may be added")


class ContactDeleted(ContactEventData, EventData, event=EventType.CONTACT_DELETED, example=_CONTACT, available=False):
    """A contact was deleted, with what was known of it."""


class CampaignEventData(Part):
    """The same in every `campaign.*` event."""

    campaign_id: CampaignId
    name: str
    status: str = Field(description="`draft`, `active`, `paused` or `completed`; more may be added")


class CampaignCreated(
    CampaignEventData,
    EventData,
    event=EventType.CAMPAIGN_CREATED,
    example=_CAMPAIGN | {"status": "draft"},
    available=False,
):
    """A campaign was made. It sends nothing before it is launched."""


class CampaignLaunched(
    CampaignEventData, EventData, event=EventType.CAMPAIGN_LAUNCHED, example=_CAMPAIGN, available=False
):
    """A campaign sends from now on."""


class CampaignPaused(
    CampaignEventData,
    EventData,
    event=EventType.CAMPAIGN_PAUSED,
    example=_CAMPAIGN | {"status": "paused", "reason": "manual"},
    available=False,
):
    """A campaign sends nothing for now."""

    reason: str = Field(description="`manual`, or what stopped it, in one word; more may be added")


class CampaignResumed(
    CampaignEventData, EventData, event=EventType.CAMPAIGN_RESUMED, example=_CAMPAIGN, available=False
):
    """A paused campaign sends again."""


class CampaignCompleted(
    CampaignEventData,
    EventData,
    event=EventType.CAMPAIGN_COMPLETED,
    example=_CAMPAIGN | {"status": "completed", "contacts": 940, "sent": 2210, "replied": 61},
    available=False,
):
    """A campaign has written to everybody it was to write to."""

    contacts: int = Field(ge=0, description="How many people it was about")
    sent: int = Field(ge=0, description="Messages")
    replied: int = Field(ge=0, description="People who answered themselves")


class ImportEventData(Part):
    """The same in every `import.*` event. Counts are of rows."""

    import_id: ImportId
    kind: str = Field(description="`contacts` or `suppressions`; more may be added")
    total: int = Field(ge=0)
    created: int = Field(ge=0)
    updated: int = Field(ge=0)
    skipped: int = Field(ge=0)
    failed: int = Field(ge=0)


class ImportCompleted(ImportEventData, EventData, event=EventType.IMPORT_COMPLETED, example=_IMPORT, available=False):
    """An import has ended; rows that could not be taken are listed with it."""


class ImportFailed(
    ImportEventData,
    EventData,
    event=EventType.IMPORT_FAILED,
    example=_IMPORT | {"created": 0, "updated": 0, "skipped": 0, "failed": 0, "reason": "unreadable_file"},
    available=False,
):
    """An import was given up; what it had taken until then stays."""

    reason: str = Field(description="Why, in one word; more may be added")
