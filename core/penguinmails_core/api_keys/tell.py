"""What others hear of keys: events and the audit log, never with a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import Principal

_AUDITED = (
    "name",
    "hint",
    "mode",
    "workspace_id",
    "parent_id",
    "scopes",
    "allowed_ips",
    "allowed_mailboxes",
    "allowed_domains",
    "max_sends_per_day",
    "expires_at",
    "revoked_at",
    "previous_secret_expires_at",
)


class Told(Protocol):
    """The columns that an event tells."""

    id: UUID
    name: str
    hint: str
    scopes: list[str]
    parent_id: UUID | None
    expires_at: datetime | None


def payload(key: Told) -> dict[str, Any]:
    """The part that all events of a key share."""
    return {
        "api_key_id": encode(Prefix.API_KEY, key.id),
        "name": key.name,
        "hint": key.hint,
        "scopes": list(key.scopes),
        "parent_id": encode(Prefix.API_KEY, key.parent_id) if key.parent_id else None,
        "expires_at": rfc3339(key.expires_at) if key.expires_at else None,
    }


async def event(session: AsyncSession, key: ApiKey, kind: EventType, more: Mapping[str, Any]) -> None:
    """Written in the transaction of the change, in the key's own mode and workspace. The row is locked or new."""
    key.event_sequence += 1
    told = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in more.items()}
    events.add(
        session,
        organization_id=key.organization_id,
        workspace_id=key.workspace_id,
        mode=key.mode,
        event=kind,
        resource_id=key.id,
        sequence=key.event_sequence,
        payload=payload(key) | told,
    )
    await session.flush()


def facts(key: ApiKey) -> audit.Facts:
    """What the audit log keeps of a key, as it is now."""
    return audit.facts(key, *_AUDITED)


async def record(
    session: AsyncSession,
    actor: Actor | Principal,
    verb: str,
    key: ApiKey,
    before: audit.Facts | None = None,
    after: audit.Facts | None = None,
) -> None:
    """An entry in the audit log. Last in the transaction: see `audit.record`."""
    resource = Resource(Prefix.API_KEY, key.id, key.workspace_id)
    await audit.record(session, actor, f"api_key.{verb}", resource, before, after)
