"""SQL for API keys. Authentication runs before the organization is known, so it uses the `ingest` role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool
from penguinmails_core.models import ApiKey, Workspace

_FIND = """
select k.id, k.organization_id, k.workspace_id, k.mode, k.scopes, k.allowed_ips, k.expires_at, k.revoked_at,
  w.id as default_workspace_id
from api_keys k join workspaces w on w.organization_id = k.organization_id and w.is_default
where k.hash = $1"""

_TOUCH = """
update api_keys k set last_used_at = u.at
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as u (organization_id, id, at)
where k.organization_id = u.organization_id and k.id = u.id"""


async def find_by_hash(ingest: Pool, digest: bytes) -> Any | None:
    """The row of a key, revoked or expired ones too, or None."""
    return await ingest.fetchrow(_FIND, digest)


async def touch(ingest: Pool, used: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """Record when keys were last used: (organization_id, key id, time)."""
    # Sorted, so that two processes writing the same keys cannot deadlock.
    organizations, keys, times = zip(*sorted(used), strict=True)
    await ingest.execute(_TOUCH, organizations, keys, times)


async def get(session: AsyncSession, organization_id: UUID, key_id: UUID) -> ApiKey | None:
    return await session.scalar(select(ApiKey).where(ApiKey.organization_id == organization_id, ApiKey.id == key_id))


async def list_for_organization(session: AsyncSession, organization_id: UUID) -> list[ApiKey]:
    """The newest first."""
    found = await session.scalars(
        select(ApiKey).where(ApiKey.organization_id == organization_id).order_by(ApiKey.id.desc())
    )
    return list(found)


async def workspace_exists(session: AsyncSession, organization_id: UUID, workspace_id: UUID) -> bool:
    found = await session.scalar(
        select(Workspace.id).where(Workspace.organization_id == organization_id, Workspace.id == workspace_id)
    )
    return found is not None
