"""What others hear of endpoints: events and the audit log, never with a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.http import display_url
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.principal import Principal

_AUDITED = (
    "url",
    "events",
    "filter",
    "payload",
    "schema_version",
    "headers",
    "secret_header_names",
    "client_certificate",
    "signature",
    "consumer",
    "description",
    "metadata_",
    "status",
    "disabled_reason",
    "mode",
    "throttle_limit",
    "throttle_period",
    "concurrency",
    "fifo",
    "destination",
    "destination_settings",
)
# Names of settings as callers know them, where they are not those of the columns.
_SETTINGS = {
    "metadata_": "metadata",
    "secret_header_names": "secret_headers",
    "destination_settings": "destination",
    "throttle_limit": "throttle",
    "throttle_period": "throttle",
}
_OWN_EVENT = ("status", "disabled_reason", "mode", "signature")


def facts(row: WebhookEndpoint) -> dict[str, Any]:
    """What the audit log keeps of an endpoint, as it is now."""
    return audit.facts(row, *_AUDITED)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ, beside those that have events of their own."""
    own = {name.rstrip("_"): _SETTINGS.get(name, name) for name in _AUDITED if name not in _OWN_EVENT}
    return sorted({shown for name, shown in own.items() if before[name] != after[name]})


async def record(
    session: AsyncSession,
    principal: Principal,
    verb: str,
    row: WebhookEndpoint,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """An entry in the audit log. Last in the transaction: see `audit.record`."""
    resource = Resource(Prefix.WEBHOOK_ENDPOINT, row.id, row.workspace_id)
    await audit.record(session, principal, f"webhook_endpoint.{verb}", resource, before, after)


def payload(row: WebhookEndpoint) -> dict[str, Any]:
    """The part that most events of an endpoint share."""
    return {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, row.id),
        "url": display_url(row.url),
        "events": list(row.events),
        "status": row.status,
    }


async def event(session: AsyncSession, row: WebhookEndpoint, kind: EventType, data: Mapping[str, Any]) -> None:
    """Written in the transaction of the change, in the endpoint's own mode and workspace. The row is locked or new."""
    row.event_sequence += 1
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=row.workspace_id,
        mode=row.mode,
        event=kind,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=dict(data),
    )
    await session.flush()
    await session.refresh(row, ["updated_at"])


async def switched(session: AsyncSession, row: WebhookEndpoint, disabled_at: datetime | None) -> None:
    """Somebody has disabled or enabled it. `disabled_at`: since when it was disabled until now."""
    data = {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, row.id),
        "url": display_url(row.url),
        "reason": "manual",
    }
    if row.status == "disabled":
        since = row.failing_since
        more = {"failing_since": rfc3339(since) if since else None, "last_status_code": None}
        await event(session, row, EventType.WEBHOOK_ENDPOINT_DISABLED, data | more)
    else:
        await event(
            session,
            row,
            EventType.WEBHOOK_ENDPOINT_ENABLED,
            data | {"disabled_at": rfc3339(disabled_at) if disabled_at else None},
        )
