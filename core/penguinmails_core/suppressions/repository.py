"""SQL of suppressions, as a caller sees them. The sender reads and writes them with SQL of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import Suppression
from penguinmails_core.principal import Principal

_IN_FORCE = and_(
    Suppression.lifted_at.is_(None), or_(Suppression.expires_at.is_(None), Suppression.expires_at > func.now())
)

_OF_ALL_MAIL = Suppression.scope == "organization"

# Each condition has an index of its own. Materialized: in a nested loop a subselect takes `limit` rows again and again.
_FORGET = """
with old as materialized (
  select organization_id, id from suppressions
  where lifted_at < now() - $1::interval or expires_at < now() - $1::interval
  limit $2 for update skip locked
)
delete from suppressions s using old where (s.organization_id, s.id) = (old.organization_id, old.id)"""


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    """All that are given must match. `statuses` are active, expired, lifted; `address` is canonical; `text` is any part
    of an address."""

    reasons: Sequence[str] = ()
    statuses: Sequence[str] = ("active",)
    scopes: Sequence[str] = ()
    address: str | None = None
    text: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def _own(principal: Principal) -> list[ColumnElement[bool]]:
    """All of the organization and mode: a suppression holds in every workspace."""
    return [Suppression.organization_id == principal.organization_id, Suppression.mode == principal.mode]


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """What a caller may look at: a credential bound to a workspace sees what came from there."""
    conditions = _own(principal)
    if principal.workspace_id is not None:
        conditions.append(Suppression.workspace_id == principal.workspace_id)
    return conditions


async def get(
    session: AsyncSession, principal: Principal, suppression_id: UUID, *, lock: bool = False
) -> Suppression | None:
    query = select(Suppression).where(*_visible(principal), Suppression.id == suppression_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def list_suppressions(
    session: AsyncSession,
    principal: Principal,
    wanted: SuppressionFilter,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Suppression]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(Suppression).where(*_visible(principal), *_conditions(wanted))
    return await newest_first(session, query, Suppression.id, limit, after, before)


def _conditions(wanted: SuppressionFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(or_(*(_status(status) for status in wanted.statuses)))
    if wanted.reasons:
        conditions.append(Suppression.reason.in_(wanted.reasons))
    if wanted.scopes:
        conditions.append(Suppression.scope.in_(wanted.scopes))
    if wanted.address is not None:
        conditions.append(Suppression.address == wanted.address)
    if wanted.text is not None:
        conditions.append(Suppression.address.contains(wanted.text, autoescape=True))
    if wanted.created_after is not None:
        conditions.append(Suppression.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(Suppression.created_at < wanted.created_before)
    return conditions


def _status(status: str) -> ColumnElement[bool]:
    match status:
        case "active":
            return _IN_FORCE
        case "expired":
            return and_(Suppression.lifted_at.is_(None), Suppression.expires_at <= func.now())
        case _:
            return Suppression.lifted_at.is_not(None)


async def holding(
    session: AsyncSession, principal: Principal, addresses: Sequence[str], *, lock: bool = False
) -> dict[str, Suppression]:
    """By address, what holds its place in the whole organization: in force, or ended by time and not lifted."""
    query = select(Suppression).where(
        *_own(principal), Suppression.address.in_(addresses), Suppression.lifted_at.is_(None), _OF_ALL_MAIL
    )
    if lock:
        query = query.order_by(Suppression.id).with_for_update()
    found = await session.scalars(query.execution_options(populate_existing=True))
    return {row.address: row for row in found}


async def in_force(session: AsyncSession, principal: Principal, addresses: Sequence[str]) -> dict[str, Suppression]:
    """By address, what stops all mail to it now."""
    query = select(Suppression).where(*_own(principal), Suppression.address.in_(addresses), _IN_FORCE, _OF_ALL_MAIL)
    return {row.address: row for row in await session.scalars(query)}


async def made_between(
    session: AsyncSession,
    principal: Principal,
    start: datetime,
    end: datetime,
    reasons: Sequence[str],
    limit: int,
) -> list[Suppression]:
    """Up to `limit` of those in force that were made from `start` and before `end`, the oldest first, locked."""
    query = (
        select(Suppression)
        .where(
            *_visible(principal),
            _IN_FORCE,
            Suppression.created_at >= start,
            Suppression.created_at < end,
            Suppression.reason.in_(reasons),
        )
        .order_by(Suppression.id)
        .limit(limit)
        .with_for_update()
    )
    return list(await session.scalars(query))


async def make_way(session: AsyncSession, rows: Sequence[Suppression], by: str) -> None:
    """Weaker ones give up their place: lifted when they ended, or now."""
    if rows:
        await session.execute(
            update(Suppression)
            .where(
                Suppression.organization_id == rows[0].organization_id,
                Suppression.id.in_([row.id for row in rows]),
            )
            .values(lifted_at=func.least(Suppression.expires_at, func.now()), lifted_by=by)
            .execution_options(synchronize_session=False)
        )


async def forget(worker: Pool, keep: timedelta, limit: int) -> int:
    """Delete what was lifted, or ended by itself, `keep` ago; returns how many. What is in force stays for ever."""
    status: str = await worker.execute(_FORGET, keep, limit)
    return int(status.rpartition(" ")[2])


async def insert_many(session: AsyncSession, values: Sequence[dict[str, Any]]) -> dict[str, Suppression]:
    """By address, the rows that were made; an address whose place was taken meanwhile is not among them."""
    if not values:
        return {}
    query = (
        insert(Suppression)
        .values(list(values))
        .on_conflict_do_nothing(
            index_elements=["organization_id", "mode", "address", "scope", "scope_value"],
            index_where=Suppression.lifted_at.is_(None),
        )
        .returning(Suppression)
    )
    return {row.address: row for row in await session.scalars(query)}
