"""What was sent to whom: search over all endpoints of an organization."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import NotFound
from penguinmails_core.models import WebhookAttempt, WebhookDelivery
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_deliveries import repository
from penguinmails_core.webhook_deliveries.repository import Filter
from penguinmails_core.webhook_endpoints import repository as endpoints
from penguinmails_core.webhook_endpoints.service import Delivery

MAX_EXPORT = 100_000
_PAGE = 1000

Sessions = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True)
class Export:
    """What a file will hold: so many rows, none of them newer than `newest`."""

    total: int
    wanted: Filter
    endpoints: list[UUID]
    newest: UUID | None


async def search(
    session: AsyncSession,
    principal: Principal,
    wanted: Filter,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[WebhookDelivery], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    places = await _endpoints(session, principal, wanted)
    query = repository.search(principal.organization_id, places, wanted)
    found = await repository.rows(session, repository.page(query, limit=limit + 1, after=after, before=before))
    has_more, found = len(found) > limit, found[:limit]
    return (found[::-1] if before is not None else found), has_more


async def get(session: AsyncSession, principal: Principal, delivery_id: UUID) -> Delivery:
    """With its attempts. Raises `NotFound`."""
    places = await repository.visible_endpoints(session, principal)
    query = repository.search(principal.organization_id, places, Filter())
    found = await repository.rows(session, query.where(WebhookDelivery.id == delivery_id))
    if not found:
        raise NotFound("There is no such delivery, or it is not kept any more.")
    return Delivery(found[0], await endpoints.attempts_of(session, found[0]))


async def attempts(session: AsyncSession, principal: Principal, delivery_id: UUID) -> list[WebhookAttempt]:
    """The first one first. Raises `NotFound`."""
    return list((await get(session, principal, delivery_id)).attempts)


async def begin_export(session: AsyncSession, principal: Principal, wanted: Filter) -> Export:
    """How much a file will hold, at most `MAX_EXPORT`."""
    places = await _endpoints(session, principal, wanted)
    query = repository.search(principal.organization_id, places, wanted)
    newest = await repository.rows(session, repository.page(query, limit=1))
    total = await repository.count(session, query, MAX_EXPORT)
    return Export(total, wanted, places, newest[0].id if newest else None)


async def export(sessions: Sessions, principal: Principal, started: Export) -> AsyncIterator[list[WebhookDelivery]]:
    """Page by page, the newest first, each in a transaction of its own: none is open while the reader is slow."""
    after, left = started.newest, started.total
    if after is None:
        return
    query = repository.search(principal.organization_id, started.endpoints, started.wanted)
    after = UUID(int=after.int + 1)
    while left > 0:
        async with sessions() as session:
            rows = await repository.rows(session, repository.page(query, limit=min(_PAGE, left), after=after))
        if not rows:
            return
        yield rows
        left -= len(rows)
        after = rows[-1].id


async def _endpoints(session: AsyncSession, principal: Principal, wanted: Filter) -> list[UUID]:
    """Where to look. Raises `NotFound` for an endpoint that the caller may not see."""
    places = await repository.visible_endpoints(session, principal)
    if wanted.endpoint_id is None:
        return places
    if wanted.endpoint_id not in places:
        raise NotFound("There is no such webhook endpoint.")
    return [wanted.endpoint_id]
