"""The recoverable log: read on from any event, at any time, and miss nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import EventExpired, NotFound
from penguinmails_core.events import repository
from penguinmails_core.events.repository import EventFilter, EventRow, Position
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.principal import Principal


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


async def place_after(session: AsyncSession, principal: Principal, event_id: UUID) -> Position:
    """Where to go on after an event. Raises `EventExpired`, and `NotFound` for what the caller never could read."""
    event = await repository.get_event(session, principal, event_id)
    if event is not None:
        return Position.of(event)
    await refuse_expired(session, principal, event_id)
    raise NotFound("There is no such event.")


async def refuse_expired(session: AsyncSession, principal: Principal, event_id: UUID) -> None:
    """Raises `EventExpired` for an event from before all that are kept; its id tells when it was made (UUIDv7)."""
    if event_id.version != 7:
        return
    kept = await repository.retention(session, principal.organization_id)
    made = (event_id.int >> 80) / 1000
    if made >= (utcnow() - kept).timestamp():
        return
    oldest = await repository.oldest(session, principal)
    first = encode(Prefix.EVENT, oldest) if oldest is not None else None
    raise EventExpired(
        f"This place is from {rfc3339(datetime.fromtimestamp(made, UTC))}, and events are kept for {kept.days} days. "
        + (f"The oldest one that is left is {first}." if first else "None is left."),
        extra={"oldest_event_id": first},
    )


async def get_event(session: AsyncSession, principal: Principal, event_id: UUID) -> EventRow:
    """Raises `NotFound`, also for what the caller may not see."""
    event = await repository.get_event(session, principal, event_id)
    if event is None:
        raise NotFound("There is no such event, or it is not kept any more.")
    return event
