"""SQL of portal links, and of what their visitors look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.ids import uuid_at
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import WebhookDelivery, WebhookEndpoint, WebhookPortalLink
from penguinmails_core.principal import Principal, PrincipalKind

_FIND = "select organization_id, id from webhook_portal_links where hash = $1"

_FORGET = """
with old as materialized (
  select organization_id, id from webhook_portal_links
  where least(revoked_at, expires_at) < now() - $1::interval
  limit $2 for update skip locked
)
delete from webhook_portal_links l using old where (l.organization_id, l.id) = (old.organization_id, old.id)"""

# A few of each endpoint, by the unique index on (endpoint, event): however many there are, it reads no more.
_RECENT = """
select e.id as endpoint_id, d.status, d.created_at, d.last_status_code, d.last_error, d.event_type, d.id
from unnest(cast(:endpoints as uuid[])) as e (id)
cross join lateral (
  select * from webhook_deliveries w
  where w.organization_id = :organization and w.endpoint_id = e.id
  order by w.event_id desc limit :count
) d
order by e.id, d.event_id desc"""


async def find_by_token(ingest: Pool, digest: bytes) -> tuple[UUID, UUID] | None:
    """(organization_id, link id)."""
    row = await ingest.fetchrow(_FIND, digest)
    return (row["organization_id"], row["id"]) if row is not None else None


async def read(session: AsyncSession, organization_id: UUID, link_id: UUID) -> WebhookPortalLink | None:
    return await session.scalar(
        select(WebhookPortalLink).where(
            WebhookPortalLink.organization_id == organization_id, WebhookPortalLink.id == link_id
        )
    )


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization; own mode, but a person in a session sees both; own workspace when bound to one."""
    conditions = [WebhookPortalLink.organization_id == principal.organization_id]
    if principal.kind is not PrincipalKind.SESSION:
        conditions.append(WebhookPortalLink.mode == principal.mode)
    if principal.workspace_id is not None:
        conditions.append(WebhookPortalLink.workspace_id == principal.workspace_id)
    return conditions


async def get(
    session: AsyncSession, principal: Principal, link_id: UUID, *, lock: bool = False
) -> WebhookPortalLink | None:
    query = select(WebhookPortalLink).where(*_visible(principal), WebhookPortalLink.id == link_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


def _active() -> ColumnElement[bool]:
    return and_(WebhookPortalLink.revoked_at.is_(None), WebhookPortalLink.expires_at > func.now())


async def count_active(session: AsyncSession, organization_id: UUID) -> int:
    count = await session.scalar(
        select(func.count())
        .select_from(WebhookPortalLink)
        .where(WebhookPortalLink.organization_id == organization_id, _active())
    )
    return count or 0


async def list_links(
    session: AsyncSession,
    principal: Principal,
    *,
    consumer: str | None,
    active: bool | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[WebhookPortalLink]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(WebhookPortalLink).where(*_visible(principal))
    if consumer is not None:
        query = query.where(WebhookPortalLink.consumer == consumer)
    if active is not None:
        query = query.where(_active() if active else ~_active())
    return await newest_first(session, query, WebhookPortalLink.id, limit, after, before)


async def forget(pool: Pool, keep: Any, limit: int) -> int:
    """Delete links that ended `keep` ago; returns how many."""
    status: str = await pool.execute(_FORGET, keep, limit)
    return int(status.rpartition(" ")[2])


# ---------------------------------------------------------------- what visitors look at


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """All that are given must hold. `since` and `until` are about when the event happened."""

    status: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def given(self) -> bool:
        return any((self.status, self.event_type, self.since, self.until))


async def recent(
    session: AsyncSession, organization_id: UUID, endpoint_ids: Sequence[UUID], count: int
) -> dict[UUID, list[Any]]:
    """The newest `count` deliveries of each endpoint, the newest first."""
    found: dict[UUID, list[Any]] = {endpoint_id: [] for endpoint_id in endpoint_ids}
    if endpoint_ids:
        asked = {"endpoints": list(endpoint_ids), "organization": organization_id, "count": count}
        for row in await session.execute(text(_RECENT), asked):
            found[row.endpoint_id].append(row)
    return found


async def list_deliveries(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    wanted: DeliveryFilter,
    *,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[WebhookDelivery]:
    """A page by the id of the event, the newest first; times become bounds of that id, so that the same index does."""
    query = select(WebhookDelivery).where(
        WebhookDelivery.organization_id == endpoint.organization_id, WebhookDelivery.endpoint_id == endpoint.id
    )
    match wanted.status:
        case None:
            pass
        case "failing":  # tried in vain so far, and still owed
            query = query.where(WebhookDelivery.status == "pending", WebhookDelivery.last_error.is_not(None))
        case status:
            query = query.where(WebhookDelivery.status == status)
    if wanted.event_type is not None:
        query = query.where(WebhookDelivery.event_type == wanted.event_type)
    if wanted.since is not None:
        query = query.where(WebhookDelivery.event_id >= _first_at(wanted.since))
    if wanted.until is not None:
        query = query.where(WebhookDelivery.event_id < _first_at(wanted.until))
    return await newest_first(session, query, WebhookDelivery.event_id, limit, after, before)


def _first_at(moment: datetime) -> UUID:
    """The least UUIDv7 of that millisecond (RFC 9562 §5.7)."""
    made = uuid_at(int(moment.timestamp() * 1000)).int
    return UUID(int=made >> 80 << 80 | 0x7000 << 64 | 1 << 63)


__all__ = [
    "DeliveryFilter",
    "count_active",
    "find_by_token",
    "forget",
    "get",
    "list_deliveries",
    "list_links",
    "read",
    "recent",
]
