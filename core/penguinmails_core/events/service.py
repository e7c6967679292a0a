"""The recoverable log: read on from any event, at any time, and miss nothing."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import NotFound
from penguinmails_core.events import repository
from penguinmails_core.events.repository import EventFilter, EventRow, Position
from penguinmails_core.principal import Principal

RETENTION_DAYS = 30


async def list_events(
    session: AsyncSession, principal: Principal, wanted: EventFilter, *, after: Position | None, limit: int
) -> tuple[list[EventRow], bool]:
    """A page in commit order and whether there is more."""
    found = await repository.list_events(session, principal, wanted, after=after, limit=limit + 1)
    return found[:limit], len(found) > limit


async def read_on(
    session: AsyncSession, principal: Principal, wanted: EventFilter, *, after: Position, limit: int
) -> tuple[list[EventRow], Position]:
    """A page in commit order, and the place to go on from: when nothing more is there, the end of the log."""
    until = await repository.horizon(session)
    found = await repository.list_events(session, principal, wanted, after=after, limit=limit, until=until)
    return found, Position.of(found[-1]) if len(found) == limit else max(after, Position.before(until))


async def end_of_log(session: AsyncSession) -> Position:
    """The place that everything comes after which is not committed yet."""
    return Position.before(await repository.horizon(session))


async def get_event(session: AsyncSession, principal: Principal, event_id: UUID) -> EventRow:
    """Raises `NotFound`, also for what the caller may not see."""
    event = await repository.get_event(session, principal, event_id)
    if event is None:
        raise NotFound(f"There is no such event. Events are kept for {RETENTION_DAYS} days.")
    return event
