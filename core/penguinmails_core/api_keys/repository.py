"""SQL for API keys. Authentication runs before the organization is known, so it uses the `ingest` role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import ApiKey, ApiKeySecret, Workspace
from penguinmails_core.principal import Principal, PrincipalKind

MAX_DEPTH = 5  # keys in a line of derivation, the first one included

# The key by its present secret or by one that was rotated out, then its ancestors: depth 1 is the key itself.
_FIND = f"""
with recursive found as (
  select organization_id, id, null::timestamptz as secret_expires_at from api_keys where hash = $1
  union all
  select organization_id, api_key_id, expires_at from api_key_secrets where hash = $1
  limit 1
),
line as (
  select k.*, f.secret_expires_at, 1 as depth
  from found f join api_keys k on k.organization_id = f.organization_id and k.id = f.id
  union all
  select k.*, line.secret_expires_at, line.depth + 1
  from line join api_keys k on k.organization_id = line.organization_id and k.id = line.parent_id
  where line.depth < {MAX_DEPTH}
)
select k.id, k.organization_id, k.workspace_id, k.parent_id, k.mode, k.scopes, k.allowed_ips, k.allowed_mailboxes,
  k.allowed_domains, k.max_sends_per_day, k.expires_at, k.revoked_at, k.secret_expires_at,
  w.id as default_workspace_id
from line k join workspaces w on w.organization_id = k.organization_id and w.is_default
order by k.depth"""

_TOUCH = """
update api_keys k set last_used_at = u.at, last_used_ip = coalesce(u.ip, k.last_used_ip)
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[]) as u (organization_id, id, at, ip)
where k.organization_id = u.organization_id and k.id = u.id"""

_LINE = f"""
with recursive line as (
  select id, parent_id, 1 as depth from api_keys where organization_id = :organization and id = :id
  union all
  select k.id, k.parent_id, line.depth + 1 from line join api_keys k
    on k.organization_id = :organization and k.id = line.parent_id
  where line.depth < {MAX_DEPTH}
)
select id from line order by depth"""

_DESCENDANTS = f"""
with recursive below as (
  select id, 1 as depth from api_keys where organization_id = :organization and parent_id = any (:ids)
  union all
  select k.id, below.depth + 1 from below join api_keys k
    on k.organization_id = :organization and k.parent_id = below.id
  where below.depth < {MAX_DEPTH}
)
select id from below"""

_EXPIRING = """
with due as materialized (
  select organization_id, id from api_keys
  where revoked_at is null and expiry_noticed_at is null
    and expires_at > now() and expires_at <= now() + $1::interval and expires_at - created_at > $1::interval
  order by organization_id, id limit $2 for update skip locked
)
update api_keys k set expiry_noticed_at = now(), event_sequence = k.event_sequence + 1
from due where (k.organization_id, k.id) = (due.organization_id, due.id)
returning k.*"""

# A parent ends no later than its children, so whole lines go together or from the bottom up.
_FORGET = """
with old as materialized (
  select organization_id, id from api_keys k
  where least(revoked_at, expires_at) < now() - $1::interval
    and not exists (select from api_keys c where c.organization_id = k.organization_id and c.parent_id = k.id)
  limit $2 for update skip locked
)
delete from api_keys k using old where (k.organization_id, k.id) = (old.organization_id, old.id)"""


async def find_by_hash(ingest: Pool, digest: bytes) -> Sequence[Any]:
    """The row of a key and those of its ancestors, revoked or expired ones too; none when there is no such key."""
    rows: Sequence[Any] = await ingest.fetch(_FIND, digest)
    return rows


async def touch(ingest: Pool, used: Sequence[tuple[UUID, UUID, datetime, str | None]]) -> None:
    """Record when keys were last used and from where: (organization_id, key id, time, address)."""
    # Sorted, so that two processes writing the same keys cannot deadlock.
    organizations, keys, times, addresses = zip(*sorted(used, key=lambda item: item[:2]), strict=True)
    await ingest.execute(_TOUCH, organizations, keys, times, addresses)


async def lock(session: AsyncSession, organization_id: UUID) -> None:
    """Changes of an organization's keys happen one after the other: a key that is being revoked or narrowed neither
    grants nor derives anything meanwhile."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('api keys ' || :organization, 0))"),
        {"organization": str(organization_id)},
    )


async def get(session: AsyncSession, organization_id: UUID, key_id: UUID) -> ApiKey | None:
    return await session.scalar(select(ApiKey).where(ApiKey.organization_id == organization_id, ApiKey.id == key_id))


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    """Own organization; own workspace when bound to one; own mode, but a person in a session sees both."""
    conditions = [ApiKey.organization_id == principal.organization_id]
    if principal.kind is not PrincipalKind.SESSION:
        conditions.append(ApiKey.mode == principal.mode)
    if principal.workspace_id is not None:
        conditions.append(ApiKey.workspace_id == principal.workspace_id)
    return conditions


async def get_visible(
    session: AsyncSession, principal: Principal, key_id: UUID, *, lock: bool = False
) -> ApiKey | None:
    query = select(ApiKey).where(*_visible(principal), ApiKey.id == key_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


def _status(status: str) -> ColumnElement[bool]:
    expired = ApiKey.expires_at <= func.now()
    match status:
        case "revoked":
            return ApiKey.revoked_at.is_not(None)
        case "expired":
            return and_(ApiKey.revoked_at.is_(None), expired)
        case _:
            return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))


async def list_visible(
    session: AsyncSession,
    principal: Principal,
    *,
    mode: str | None,
    status: str | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[ApiKey]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    query = select(ApiKey).where(*_visible(principal))
    if mode is not None:
        query = query.where(ApiKey.mode == mode)
    if status is not None:
        query = query.where(_status(status))
    return await newest_first(session, query, ApiKey.id, limit, after, before)


async def list_for_organization(session: AsyncSession, organization_id: UUID) -> list[ApiKey]:
    """The newest first."""
    found = await session.scalars(
        select(ApiKey).where(ApiKey.organization_id == organization_id).order_by(ApiKey.id.desc())
    )
    return list(found)


async def count_active(session: AsyncSession, organization_id: UUID) -> int:
    count = await session.scalar(
        select(func.count()).select_from(ApiKey).where(ApiKey.organization_id == organization_id, _status("active"))
    )
    return count or 0


async def line_of(session: AsyncSession, organization_id: UUID, key_id: UUID) -> list[ApiKey]:
    """A key and its ancestors, the key first; empty when there is no such key."""
    found = list(await session.scalars(text(_LINE), {"organization": organization_id, "id": key_id}))
    keys = {row.id: row for row in await _load(session, organization_id, found)}
    return [keys[found_id] for found_id in found]


async def descendants_of(session: AsyncSession, organization_id: UUID, key_ids: Sequence[UUID]) -> list[ApiKey]:
    """Every key that was derived from these, directly or not; locked in the order of their ids."""
    found = await session.scalars(text(_DESCENDANTS), {"organization": organization_id, "ids": list(key_ids)})
    return await _load(session, organization_id, list(found), lock=True)


async def keys_of_user(session: AsyncSession, organization_id: UUID, user_id: UUID) -> list[ApiKey]:
    """Those that still are in force; locked."""
    query = select(ApiKey).where(
        ApiKey.organization_id == organization_id, ApiKey.created_by_user_id == user_id, ApiKey.revoked_at.is_(None)
    )
    query = query.order_by(ApiKey.id).with_for_update().execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def _load(
    session: AsyncSession, organization_id: UUID, key_ids: Sequence[UUID], *, lock: bool = False
) -> list[ApiKey]:
    if not key_ids:
        return []
    query = select(ApiKey).where(ApiKey.organization_id == organization_id, ApiKey.id.in_(key_ids)).order_by(ApiKey.id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def retire_secret(session: AsyncSession, key: ApiKey, secret: ApiKeySecret | None, end: datetime) -> int:
    """Keep `secret` until its end, and none of the earlier ones longer than `end`; returns how many still work."""
    of_key = (ApiKeySecret.organization_id == key.organization_id, ApiKeySecret.api_key_id == key.id)
    await session.execute(
        update(ApiKeySecret).where(*of_key).values(expires_at=func.least(ApiKeySecret.expires_at, end))
    )
    await session.execute(delete(ApiKeySecret).where(*of_key, ApiKeySecret.expires_at <= func.clock_timestamp()))
    if secret is not None:
        session.add(secret)
        await session.flush()
    return await session.scalar(select(func.count()).select_from(ApiKeySecret).where(*of_key)) or 0


async def workspace_exists(session: AsyncSession, organization_id: UUID, workspace_id: UUID) -> bool:
    found = await session.scalar(
        select(Workspace.id).where(Workspace.organization_id == organization_id, Workspace.id == workspace_id)
    )
    return found is not None


async def mark_expiring(connection: Connection, ahead: Any, limit: int) -> Sequence[Any]:
    """Keys that end within `ahead` and whose end nobody was told of; they are marked as told. Keys whose whole life is
    shorter are left out: who made them knows."""
    rows: Sequence[Any] = await connection.fetch(_EXPIRING, ahead, limit)
    return rows


async def forget(pool: Pool, keep: Any, limit: int) -> int:
    """Delete keys that ended `keep` ago, and what is left of their secrets and counts; returns how many keys went."""
    status: str = await pool.execute(_FORGET, keep, limit)
    await pool.execute("delete from api_key_secrets where expires_at < now()")
    await pool.execute("delete from api_key_sends where day < (now() - $1::interval)::date", keep)
    return int(status.rpartition(" ")[2])
