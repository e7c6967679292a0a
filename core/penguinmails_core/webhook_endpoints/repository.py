"""SQL of webhook endpoints and what was sent to them, as a caller sees it. Delivering has SQL of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from penguinmails_core.principal import Principal


def visible(principal: Principal) -> list[ColumnElement[bool]]:
    """What a caller may see: own organization, own mode, own workspace when bound to one, and of a consumer's link
    only what is that consumer's."""
    conditions = [
        WebhookEndpoint.organization_id == principal.organization_id,
        WebhookEndpoint.mode == principal.mode,
    ]
    if principal.workspace_id is not None:
        conditions.append(WebhookEndpoint.workspace_id == principal.workspace_id)
    if principal.consumer is not None:
        conditions.append(WebhookEndpoint.consumer == principal.consumer)
    return conditions


async def count_for_update(session: AsyncSession, organization_id: UUID, consumer: str | None) -> tuple[int, int]:
    """How many endpoints this consumer has (None: the organization itself), and how many all of them together, in both
    modes; others who ask wait for this transaction."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('webhook endpoints ' || :organization, 0))"),
        {"organization": str(organization_id)},
    )
    own = func.count().filter(WebhookEndpoint.consumer.is_not_distinct_from(consumer))
    found = await session.execute(select(own, func.count()).where(WebhookEndpoint.organization_id == organization_id))
    count, total = found.one()
    return count, total


async def get(
    session: AsyncSession, principal: Principal, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint | None:
    query = select(WebhookEndpoint).where(*visible(principal), WebhookEndpoint.id == endpoint_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def list_endpoints(
    session: AsyncSession,
    principal: Principal,
    consumer: str | None = None,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[WebhookEndpoint]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`. `consumer`: only
    that one's."""
    query = select(WebhookEndpoint).where(*visible(principal))
    if consumer is not None:
        query = query.where(WebhookEndpoint.consumer == consumer)
    return await newest_first(session, query, WebhookEndpoint.id, limit, after, before)


async def list_deliveries(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    statuses: Sequence[str],
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[WebhookDelivery]:
    """As `list_endpoints`, by the id of the event: the unique index on (endpoint, event) gives this order."""
    query = select(WebhookDelivery).where(*_of(endpoint))
    if statuses:
        query = query.where(WebhookDelivery.status.in_(statuses))
    return await newest_first(session, query, WebhookDelivery.event_id, limit, after, before)


def _of(endpoint: WebhookEndpoint) -> list[ColumnElement[bool]]:
    return [
        WebhookDelivery.organization_id == endpoint.organization_id,
        WebhookDelivery.endpoint_id == endpoint.id,
    ]


async def get_delivery(
    session: AsyncSession, endpoint: WebhookEndpoint, delivery_id: UUID, *, lock: bool = False
) -> WebhookDelivery | None:
    query = select(WebhookDelivery).where(*_of(endpoint), WebhookDelivery.id == delivery_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def attempts_of(session: AsyncSession, delivery: WebhookDelivery) -> list[WebhookAttempt]:
    """The first one first."""
    query = select(WebhookAttempt).where(
        WebhookAttempt.organization_id == delivery.organization_id, WebhookAttempt.delivery_id == delivery.id
    )
    return list(await session.scalars(query.order_by(WebhookAttempt.number, WebhookAttempt.started_at)))


async def attempts_of_many(
    session: AsyncSession, organization_id: UUID, delivery_ids: Sequence[UUID]
) -> list[WebhookAttempt]:
    """The first of each first."""
    query = select(WebhookAttempt).where(
        WebhookAttempt.organization_id == organization_id, WebhookAttempt.delivery_id.in_(delivery_ids)
    )
    return list(await session.scalars(query.order_by(WebhookAttempt.number, WebhookAttempt.started_at)))


async def event_is_kept(session: AsyncSession, delivery: WebhookDelivery) -> bool:
    found = await session.scalar(
        select(Event.id).where(
            Event.organization_id == delivery.organization_id,
            Event.id == delivery.event_id,
            Event.created_at == delivery.event_created_at,
        )
    )
    return found is not None


async def cancel_deliveries(session: AsyncSession, endpoint: WebhookEndpoint, reason: str) -> None:
    """Nothing is owed to this endpoint any more."""
    await session.execute(
        update(WebhookDelivery)
        .where(*_of(endpoint), WebhookDelivery.due_at.is_not(None))
        .values(status="cancelled", due_at=None, last_error=reason)
        .execution_options(synchronize_session=False)
    )


async def resend_all(
    session: AsyncSession, endpoint: WebhookEndpoint, statuses: Sequence[str], since: datetime | None, limit: int
) -> int:
    """Make up to `limit` deliveries in one of `statuses` due, the oldest events first; those whose event is not kept
    any more stay as they are. Returns how many."""
    kept = select(Event.id).where(
        Event.organization_id == WebhookDelivery.organization_id,
        Event.id == WebhookDelivery.event_id,
        Event.created_at == WebhookDelivery.event_created_at,
    )
    wanted = select(WebhookDelivery.id).where(
        *_of(endpoint), WebhookDelivery.status.in_(statuses), WebhookDelivery.due_at.is_(None), kept.exists()
    )
    if since is not None:
        wanted = wanted.where(WebhookDelivery.event_created_at >= since)
    wanted = wanted.order_by(WebhookDelivery.event_id).limit(limit).with_for_update(skip_locked=True)
    result = await session.scalars(
        update(WebhookDelivery)
        .where(WebhookDelivery.organization_id == endpoint.organization_id, WebhookDelivery.id.in_(wanted))
        .values(status="pending", due_at=func.now())
        .returning(WebhookDelivery.id)
        .execution_options(synchronize_session=False)
    )
    return len(list(result))


async def owe(session: AsyncSession, endpoint: WebhookEndpoint, delivery_id: UUID, event_id: UUID, kind: str) -> None:
    """A delivery of an event that was written in this transaction."""
    session.add(
        WebhookDelivery(
            organization_id=endpoint.organization_id,
            id=delivery_id,
            endpoint_id=endpoint.id,
            event_id=event_id,
            event_created_at=func.now(),  # as the event's own default: the time of the transaction
            event_type=kind,
            due_at=func.now(),
        )
    )
    await session.flush()
