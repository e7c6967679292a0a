"""Events of suppressions, in the transaction of the change."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.models import Suppression
from penguinmails_core.suppressions.payload import event_data


def tell(session: AsyncSession, row: Suppression, event: EventType, **what: Any) -> None:
    """`what` joins the event's data."""
    data = event_data(
        row.id,
        address=row.address,
        reason=row.reason,
        note=row.note,
        evidence=row.evidence,
        expires_at=row.expires_at,
        scope=row.scope,
        scope_value=row.scope_value,
    )
    events.add(
        session,
        organization_id=row.organization_id,
        workspace_id=row.workspace_id,
        mode=row.mode,
        event=event,
        resource_id=row.id,
        sequence=row.event_sequence,
        payload=data | what,
    )
