"""SQL of what mailboxes may send and when, and of their tokens. Roles `worker` and `ingest`, plain asyncpg."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

LONGEST = timedelta(hours=24)
KEEP = timedelta(days=8)


async def sender(pool: Pool, organization_id: UUID, mode: str, mailbox_id: UUID) -> Any:
    """What the accept path asks of a mailbox, None when there is none."""
    return await pool.fetchrow(
        "select workspace_id, address, address_key, aliases, hourly_cap from mailboxes "
        "where (organization_id, id) = ($1, $2) and mode = $3",
        organization_id,
        mailbox_id,
        mode,
    )


async def lock(connection: Connection, organization_id: UUID, mailbox_id: UUID) -> Any:
    """The row, and nobody else takes a permission from it until the transaction ends."""
    return await connection.fetchrow(
        "select * from mailboxes where (organization_id, id) = ($1, $2) for update", organization_id, mailbox_id
    )


async def sends(connection: Connection, organization_id: UUID, mailbox_id: UUID) -> list[Any]:
    """Of the last 24 hours, the oldest first: `weight`, `at`, `free_at`; and `now`. A statement of its own after the
    lock, so that it sees what the one before has written."""
    found = await connection.fetch(
        "select weight, at, free_at, now() as now from mailbox_sends "
        "where (organization_id, mailbox_id) = ($1, $2) and at > now() - $3::interval order by at",
        organization_id,
        mailbox_id,
        LONGEST,
    )
    return list(found)


async def take(
    connection: Connection, organization_id: UUID, mailbox_id: UUID, send_id: UUID, weight: int, gap: float
) -> None:
    """`gap`: seconds until the next one. The clock is the wall's, not the transaction's: it may have waited."""
    await connection.execute(
        "insert into mailbox_sends (organization_id, id, mailbox_id, weight, at, free_at) "
        "values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + make_interval(secs => $5))",
        organization_id,
        send_id,
        mailbox_id,
        weight,
        gap,
    )


async def clock(connection: Connection) -> datetime:
    found: datetime = await connection.fetchval("select clock_timestamp()")
    return found


async def lease_token(pool: Pool, organization_id: UUID, mailbox_id: UUID, lease: timedelta) -> Any:
    """The row when this caller is the one to fetch a token now; None while another does."""
    return await pool.fetchrow(
        "update mailboxes set oauth_lease_until = now() + $3::interval where (organization_id, id) = ($1, $2) "
        "and (oauth_lease_until is null or oauth_lease_until < now()) returning *",
        organization_id,
        mailbox_id,
        lease,
    )


async def read(pool: Pool, organization_id: UUID, mailbox_id: UUID) -> Any:
    return await pool.fetchrow(
        "select * from mailboxes where (organization_id, id) = ($1, $2)", organization_id, mailbox_id
    )


async def keep_token(
    pool: Pool,
    organization_id: UUID,
    mailbox_id: UUID,
    access: bytes | None,
    expires_at: datetime | None,
    refresh: bytes | None,
) -> None:
    """End the lease; without `access`, nothing was got."""
    await pool.execute(
        "update mailboxes set oauth_lease_until = null, oauth_access_token = coalesce($3, oauth_access_token), "
        "oauth_expires_at = coalesce($4, oauth_expires_at), oauth_refresh_token = coalesce($5, oauth_refresh_token) "
        "where (organization_id, id) = ($1, $2)",
        organization_id,
        mailbox_id,
        access,
        expires_at,
        refresh,
    )


async def forget(connection: Connection, organization_id: UUID, mailbox_id: UUID) -> None:
    """Permissions that no cap counts any more."""
    await connection.execute(
        "delete from mailbox_sends where (organization_id, mailbox_id) = ($1, $2) and at < now() - $3::interval",
        organization_id,
        mailbox_id,
        KEEP,
    )
