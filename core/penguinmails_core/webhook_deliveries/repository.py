"""SQL of the search over all deliveries of an organization. Newest first, by id, which begins with the time.

Failures have partial indexes of their own, since they are what is looked for and few; what was delivered is found on
the way through the primary key. The conditions of these indexes stand in the query as they stand in the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.models import EmailRecipient, Event, WebhookDelivery, WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository as endpoints

_ENDED = ("exhausted", "cancelled")
_REASON: ColumnElement[str] = literal_column("split_part(webhook_deliveries.last_error, ':', 1)")
_SLACK = timedelta(minutes=1)  # between the clock that made an id and the one that made its row


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is given must hold. `types` are exact names or families such as ``email.*``. `errors`: the word before
    the colon of `last_error`. `since`, `until`: when it was first owed."""

    statuses: Sequence[str] = ()
    endpoint_id: UUID | None = None
    event_id: UUID | None = None
    email_id: UUID | None = None
    types: Sequence[str] = ()
    status_codes: Sequence[int] = ()
    errors: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


async def visible_endpoints(session: AsyncSession, principal: Principal) -> list[UUID]:
    """That the caller may see: at most as many as an organization may have."""
    return list(await session.scalars(select(WebhookEndpoint.id).where(*endpoints.visible(principal))))


def search(organization_id: UUID, places: Sequence[UUID], wanted: Filter) -> Select[Any]:
    """To the endpoints `places`, without order and limit."""
    row = WebhookDelivery
    query = select(row).where(row.organization_id == organization_id, row.endpoint_id.in_(places))
    if wanted.statuses:
        query = query.where(row.status.in_(wanted.statuses))
        if set(wanted.statuses) <= set(_ENDED):
            query = query.where(literal_column("webhook_deliveries.status in ('exhausted', 'cancelled')"))
    if wanted.event_id is not None:
        query = query.where(row.event_id == wanted.event_id)
    if wanted.email_id is not None:
        query = query.where(row.event_id.in_(_events_of(organization_id, wanted.email_id)))
    if wanted.types and "*" not in wanted.types:
        query = query.where(or_(*map(_of_type, wanted.types)))
    if wanted.status_codes:
        query = query.where(row.last_status_code.in_(wanted.status_codes))
        if min(wanted.status_codes) >= 300:
            query = query.where(literal_column("webhook_deliveries.last_status_code >= 300"))
    if wanted.errors:
        query = query.where(_REASON.in_(wanted.errors), literal_column("webhook_deliveries.last_error is not null"))
    if wanted.since is not None:
        query = query.where(row.created_at >= wanted.since, row.id >= _first_id(wanted.since - _SLACK))
    if wanted.until is not None:
        query = query.where(row.created_at <= wanted.until, row.id < _first_id(wanted.until + _SLACK))
    return query


def page(query: Select[Any], *, limit: int, after: UUID | None = None, before: UUID | None = None) -> Select[Any]:
    """The newest first, older than `after`; or the nearest newer than `before`, the oldest first."""
    if before is not None:
        return query.where(WebhookDelivery.id > before).order_by(WebhookDelivery.id).limit(limit)
    if after is not None:
        query = query.where(WebhookDelivery.id < after)
    return query.order_by(WebhookDelivery.id.desc()).limit(limit)


async def rows(session: AsyncSession, query: Select[Any]) -> list[WebhookDelivery]:
    return list(await session.scalars(query))


async def count(session: AsyncSession, query: Select[Any], most: int) -> int:
    """How many there are, at most `most`."""
    found = await session.scalar(select(func.count()).select_from(query.limit(most).subquery()))
    return found or 0


def _events_of(organization_id: UUID, email_id: UUID) -> Select[Any]:
    recipients = select(EmailRecipient.id).where(
        EmailRecipient.organization_id == organization_id, EmailRecipient.message_id == email_id
    )
    return select(Event.id).where(Event.organization_id == organization_id, Event.resource_id.in_(recipients))


def _of_type(name: str) -> ColumnElement[bool]:
    column: ColumnElement[str] = WebhookDelivery.event_type.expression
    if not name.endswith(".*"):
        return column == name
    return func.starts_with(column, name[:-1])


def _first_id(moment: datetime) -> UUID:
    """Before every UUIDv7 of this time."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)
