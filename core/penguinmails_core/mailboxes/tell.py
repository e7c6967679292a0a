"""What others hear of mailboxes: events and the audit log, never with a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.models import Mailbox
from penguinmails_core.principal import Principal

_AUDITED = (
    "address",
    "display_name",
    "aliases",
    "auth",
    "oauth_provider",
    "smtp_host",
    "smtp_port",
    "smtp_tls",
    "smtp_username",
    "imap_host",
    "imap_port",
    "imap_tls",
    "imap_username",
    "daily_cap",
    "hourly_cap",
    "min_gap_seconds",
    "gap_jitter_seconds",
    "status",
    "mode",
)


def facts(row: Mailbox) -> dict[str, Any]:
    """What the audit log keeps of a mailbox, as it is now."""
    return audit.facts(row, *_AUDITED)


async def event(session: AsyncSession, row: Mailbox, kind: EventType, **more: Any) -> None:
    """Written in the transaction of the change, in the mailbox's own mode and workspace. The row is locked or new."""
    row.event_sequence += 1
    payload = {"mailbox_id": encode(Prefix.MAILBOX, row.id), "address": row.address, "status": row.status}
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=row.workspace_id,
        mode=row.mode,
        event=kind,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=payload | more,
    )
    await session.flush()
    await session.refresh(row)


async def record(
    session: AsyncSession,
    principal: Principal,
    verb: str,
    row: Mailbox,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    resource = Resource(Prefix.MAILBOX, row.id, row.workspace_id)
    await audit.record(session, principal, f"mailbox.{verb}", resource, before, after)
