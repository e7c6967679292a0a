"""SQL of what waits for a person: pushed requests, interactions, devices. As `worker`: there is no organization yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_CLAIM_PUSHED = """
update oauth_pushed_requests set used_at = clock_timestamp()
where hash = $1 and app_id = $2 and used_at is null and expires_at > clock_timestamp() returning parameters"""
_ADD_INTERACTION = """
insert into oauth_interactions (hash, app_id, parameters, session_id, expires_at)
values ($1, $2, $3, $4, clock_timestamp() + $5::interval)"""
_OPEN_INTERACTION = """
update oauth_interactions set session_id = coalesce(session_id, $2)
where hash = $1 and used_at is null and expires_at > clock_timestamp() and coalesce(session_id, $2) = $2
returning app_id, parameters, created_at"""
_CLAIM_INTERACTION = """
update oauth_interactions set used_at = clock_timestamp()
where hash = $1 and session_id = $2 and used_at is null and expires_at > clock_timestamp()
returning app_id, parameters, created_at"""
_PENDING_DEVICE = """
select hash, app_id, scopes, resources, user_code from oauth_devices
where user_code = $1 and status = 'pending' and expires_at > clock_timestamp()"""
_ANSWER_DEVICE = """
update oauth_devices set status = $2, organization_id = $3, grant_id = $4
where hash = $1 and status = 'pending' and expires_at > clock_timestamp() returning hash"""
_APPROVED = "select exists (select from oauth_approvals where organization_id = $1 and id = $2)"
_WORKSPACES = """
select w.organization_id, w.id, w.name from workspaces w
where w.organization_id = any ($1) and w.archived_at is null order by lower(w.name), w.id"""


async def claim_pushed(connection: Connection, digest: bytes, app_id: UUID) -> dict[str, list[str]] | None:
    """The parameters of a request that this client pushed; None when there is none that still counts."""
    found: dict[str, list[str]] | None = await connection.fetchval(_CLAIM_PUSHED, digest, app_id)
    return found


async def add_interaction(
    connection: Connection,
    digest: bytes,
    app_id: UUID,
    parameters: dict[str, Any],
    session_id: UUID | None,
    lifetime: timedelta,
) -> None:
    await connection.execute(_ADD_INTERACTION, digest, app_id, parameters, session_id, lifetime)


async def open_interaction(connection: Pool | Connection, digest: bytes, session_id: UUID) -> Any | None:
    """Binds it to the session, if it is not bound yet. None when it is another's, answered or expired."""
    return await connection.fetchrow(_OPEN_INTERACTION, digest, session_id)


async def claim_interaction(connection: Connection, digest: bytes, session_id: UUID) -> Any | None:
    """Once: a second click finds nothing."""
    return await connection.fetchrow(_CLAIM_INTERACTION, digest, session_id)


async def pending_device(connection: Pool | Connection, user_code: str) -> Any | None:
    return await connection.fetchrow(_PENDING_DEVICE, user_code)


async def answer_device(
    connection: Connection, digest: bytes, status: str, organization_id: UUID | None, grant_id: UUID | None
) -> bool:
    """False when the device has given up meanwhile."""
    found = await connection.fetchval(_ANSWER_DEVICE, digest, status, organization_id, grant_id)
    return found is not None


async def approved(connection: Pool | Connection, organization_id: UUID, app_id: UUID) -> bool:
    found: bool = await connection.fetchval(_APPROVED, organization_id, app_id)
    return found


async def workspaces(pool: Pool, organization_ids: list[UUID]) -> list[Any]:
    """Of several organizations, by name."""
    return list(await pool.fetch(_WORKSPACES, organization_ids))
