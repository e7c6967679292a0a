"""Events of API keys. None of them holds a secret."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penguinmails_core.events.types import EventType
from penguinmails_webhooks.catalogue import EventData
from penguinmails_webhooks.payloads import ApiKeyId, Part, Timestamp

_KEY: dict[str, Any] = {
    "api_key_id": "key_01k5w8m3xjf2r9v0q4tz7h6cdn",
    "name": "Order service",
    "hint": "pm_live_8mXq…w3Zk",
    "scopes": ["emails:write"],
    "parent_id": None,
    "expires_at": "2026-12-01T12:00:00.000Z",
}


class ApiKeyEventData(Part):
    """What every `api_key.*` event says."""

    api_key_id: ApiKeyId
    name: str
    hint: str = Field(description="Start and end of the secret, to recognise it by")
    scopes: list[str]
    parent_id: ApiKeyId | None = Field(description="The key that it was derived from")
    expires_at: Timestamp | None = Field(description="When it ends by itself; null for never")


class ApiKeyCreated(ApiKeyEventData, EventData, event=EventType.API_KEY_CREATED, example=_KEY):
    """An API key was made, or derived from another."""


class ApiKeyRotated(
    ApiKeyEventData,
    EventData,
    event=EventType.API_KEY_ROTATED,
    example=_KEY | {"previous_secret_expires_at": "2026-11-25T12:00:00.000Z"},
):
    """An API key has a new secret."""

    previous_secret_expires_at: Timestamp | None = Field(
        None, description="Until then the secret before still works; null when it ended at once"
    )


class ApiKeyRevoked(ApiKeyEventData, EventData, event=EventType.API_KEY_REVOKED, example=_KEY | {"reason": "manual"}):
    """An API key was ended for good."""

    reason: str = Field(
        description="`manual`, `parent_revoked` (what it was derived from), `member_removed` or `role_changed` "
        "(whoever made it may do nothing of it any more); more may be added"
    )


class ApiKeyExpiring(ApiKeyEventData, EventData, event=EventType.API_KEY_EXPIRING, example=_KEY):
    """An API key ends by itself within seven days: replace it or move its end. Told once for each end."""
