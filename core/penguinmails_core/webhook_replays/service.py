"""Ask for a replay, watch it, end it. A worker does it (`penguinmails_webhooks.replays`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.events import repository as events
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.models import WebhookEndpoint, WebhookReplay
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository as endpoints
from penguinmails_core.webhook_replays import repository

MAX_SINGLE = 100  # replays of one event that wait, per endpoint


class Only(StrEnum):
    """`missing`: whatever was not delivered, for whichever reason. `failed`: what was given up. `all`: everything, what
    was delivered too."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be sent once more: one event, or those of a time. `types` are checked patterns; none: all that the
    endpoint asks for. `since` None: since the endpoint was made, and for `failed` all that is kept."""

    event_id: UUID | None = None
    only: Only = Only.MISSING
    since: datetime | None = None
    until: datetime | None = None
    types: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay, and how many of its deliveries are in which status now."""

    row: WebhookReplay
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def progress(self) -> float:
        """0 to 1. The total is an estimate: events may come or go while the log is read."""
        row = self.row
        if row.status == "completed":
            return 1.0
        return min(row.scanned / row.total, 1.0) if row.total else 0.0


async def create(session: AsyncSession, principal: Principal, endpoint_id: UUID, wish: Wish) -> Replay:
    """Raises `NotFound`, `Unprocessable` naming fields, `Conflict` when the endpoint is disabled or is being replayed
    already."""
    endpoint = await endpoints.get(session, principal, endpoint_id, lock=True)
    if endpoint is None:
        raise NotFound("There is no such webhook endpoint.")
    if endpoint.status != "enabled":
        raise Conflict('The endpoint is disabled. Enable it first: PATCH {"status": "enabled"}.')
    await _check(session, principal, endpoint, wish)
    await _refuse_a_second(session, endpoint, single=wish.event_id is not None)
    since = wish.since
    if since is None and wish.event_id is None and wish.only is not Only.FAILED:
        since = endpoint.created_at
    row = WebhookReplay(
        organization_id=endpoint.organization_id,
        id=new_uuid(),
        endpoint_id=endpoint.id,
        workspace_id=endpoint.workspace_id,
        mode=endpoint.mode,
        selection=None if wish.event_id is not None else str(wish.only),
        event_id=wish.event_id,
        types=list(wish.types) or None,
        since=since,
        until=wish.until,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    after = audit.facts(row, "selection", "event_id", "types", "since", "until")
    resource = Resource(Prefix.WEBHOOK_ENDPOINT, endpoint.id, endpoint.workspace_id)
    await audit.record(session, principal, "webhook_endpoint.replayed", resource, None, after)
    return Replay(row)


async def _check(session: AsyncSession, principal: Principal, endpoint: WebhookEndpoint, wish: Wish) -> None:
    if wish.event_id is not None:
        event = await events.get_event(session, principal, wish.event_id)
        if event is None or endpoint.workspace_id not in (None, event["workspace_id"]):
            detail = "There is no such event that this endpoint may see, or it is not kept any more."
            raise Unprocessable(detail, errors=[FieldError("/event_id", "not_found", detail)])
        return
    if wish.since is not None and wish.since > utcnow():
        detail = f"`since` is in the future; it is {rfc3339(utcnow())} now."
        raise Unprocessable(detail, errors=[FieldError("/since", "out_of_range", detail)])
    if wish.until is not None and wish.until < (wish.since or endpoint.created_at):
        detail = "`until` is before `since`" + ("." if wish.since else ", which is when the endpoint was made.")
        raise Unprocessable(detail, errors=[FieldError("/until", "out_of_range", detail)])


async def _refuse_a_second(session: AsyncSession, endpoint: WebhookEndpoint, *, single: bool) -> None:
    found = await repository.active(session, endpoint.organization_id, endpoint.id, single=single)
    if single and len(found) >= MAX_SINGLE:
        raise Conflict(f"{MAX_SINGLE} events wait to be replayed to this endpoint. Wait, or replay a time: `since`.")
    if not single and found:
        running = encode(Prefix.WEBHOOK_REPLAY, found[0].id)
        raise Conflict(
            f"{running} is under way for this endpoint. Wait until it has ended, or cancel it.",
            extra={"replay_id": running},
        )


async def get(session: AsyncSession, principal: Principal, replay_id: UUID, *, lock: bool = False) -> Replay:
    """Raises `NotFound`."""
    row = await repository.get(session, principal, replay_id, lock=lock)
    if row is None:
        raise NotFound("There is no such replay. They are kept for 90 days after their end.")
    return (await _with_outcomes(session, [row]))[0]


async def list_replays(
    session: AsyncSession,
    principal: Principal,
    endpoint_id: UUID | None = None,
    statuses: Sequence[str] = (),
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[Replay], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_replays(
        session, principal, endpoint_id, statuses, limit=limit + 1, after=after, before=before
    )
    page, has_more = cut(found, limit, backwards=before is not None)
    return await _with_outcomes(session, page), has_more


async def cancel(session: AsyncSession, principal: Principal, replay_id: UUID) -> Replay:
    """Nothing more is made due; what already is, is sent. Cancelling twice is the same as once.

    Raises `NotFound`, and `Conflict` when it has ended otherwise."""
    replay = await get(session, principal, replay_id, lock=True)
    row = replay.row
    if row.status == "cancelled":
        return replay
    if row.status not in repository.ACTIVE:
        raise Conflict(f"The replay has ended: it is {row.status}.", extra={"current_status": row.status})
    row.status = "cancelled"
    row.finished_at = func.now()
    await session.flush()
    await session.refresh(row)
    resource = Resource(Prefix.WEBHOOK_ENDPOINT, row.endpoint_id, row.workspace_id)
    await audit.record(session, principal, "webhook_endpoint.replay_cancelled", resource, None, None)
    return Replay(row, replay.outcomes)


async def _with_outcomes(session: AsyncSession, rows: Sequence[WebhookReplay]) -> list[Replay]:
    if not rows:
        return []
    found = await repository.outcomes(session, rows[0].organization_id, [row.id for row in rows])
    return [Replay(row, found[row.id]) for row in rows]
