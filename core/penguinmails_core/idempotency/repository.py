"""SQL for idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Pool

_LOCK_NOT_AVAILABLE = "55P03"

# `do update`, not `do nothing`: only an update waits for the other transaction and returns its row.
_CLAIM = text("""
insert into idempotency_keys as i (organization_id, principal_id, key, fingerprint, token)
values (:organization_id, :principal_id, :key, :fingerprint, :token)
on conflict (organization_id, principal_id, key) do update set hits = i.hits + 1
returning token, fingerprint, status, response""")

_STORE = text("""
update idempotency_keys set status = :status, response = :response
where organization_id = :organization_id and principal_id = :principal_id and key = :key""")

_FIND = """
select token, fingerprint, status, response from idempotency_keys
where organization_id = $1 and principal_id = $2 and key = $3"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The row of a key: ours when `token` is, else what the first request stored."""

    token: UUID
    fingerprint: bytes
    status: int | None
    response: bytes | None


async def claim(
    session: AsyncSession,
    organization_id: UUID,
    principal_id: UUID,
    key: str,
    fingerprint: bytes,
    token: UUID,
    patience_ms: int,
) -> Claim | None:
    """Insert the key or read who has it. None when another transaction holds it for longer than `patience_ms`; the
    session's transaction is over then."""
    await session.execute(text(f"set local lock_timeout = {int(patience_ms)}"))
    try:
        result = await session.execute(
            _CLAIM,
            {
                "organization_id": organization_id,
                "principal_id": principal_id,
                "key": key,
                "fingerprint": fingerprint,
                "token": token,
            },
        )
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            return None
        raise
    row = result.one()
    await session.execute(text("set local lock_timeout to default"))
    return Claim(row.token, bytes(row.fingerprint), row.status, row.response)


async def store(
    session: AsyncSession, organization_id: UUID, principal_id: UUID, key: str, status: int, response: bytes
) -> None:
    await session.execute(
        _STORE,
        {
            "organization_id": organization_id,
            "principal_id": principal_id,
            "key": key,
            "status": status,
            "response": response,
        },
    )


async def find_stored(ingest: Pool, organization_id: UUID, principal_id: UUID, key: str) -> Claim | None:
    """What the key's first request was answered; None when there is no such request, or it still runs."""
    row = await ingest.fetchrow(_FIND, organization_id, principal_id, key)
    if row is None or row["status"] is None:
        return None
    return Claim(row["token"], row["fingerprint"], row["status"], row["response"])


async def sweep(worker: Pool, hours: int, limit: int) -> int:
    """Delete up to `limit` keys older than `hours`; returns how many there were."""
    tag: str = await worker.execute(
        """
        delete from idempotency_keys where ctid = any (array(
          select ctid from idempotency_keys where created_at < now() - make_interval(hours => $1) limit $2))""",
        hours,
        limit,
    )
    return int(tag.rpartition(" ")[2])
