"""SQL of browser sessions, as `worker`: a person is not bound to one organization before their session is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Pool

_COLUMNS = """
s.id, s.user_id, u.email, u.name, s.organization_id, s.workspace_id, s.state, s.amr, s.auth_time, s.created_at,
s.last_seen_at, s.expires_at, s.address, s.user_agent"""


async def insert(
    pool: Pool,
    *,
    session_id: UUID,
    digest: bytes,
    user_id: UUID,
    organization_id: UUID | None,
    state: str,
    amr: Sequence[str],
    address: str,
    user_agent: str,
    auth_time: datetime,
    expires_at: datetime,
) -> None:
    await pool.execute(
        """
        insert into user_sessions
          (id, hash, user_id, organization_id, state, amr, address, user_agent, auth_time, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        session_id,
        digest,
        user_id,
        organization_id,
        state,
        list(amr),
        address,
        user_agent,
        auth_time,
        expires_at,
    )


async def find(pool: Pool, digest: bytes) -> Any | None:
    return await pool.fetchrow(
        f"select {_COLUMNS} from user_sessions s join users u on u.id = s.user_id where s.hash = $1", digest
    )


async def list_for(pool: Pool, user_id: UUID) -> list[Any]:
    return list(
        await pool.fetch(
            f"select {_COLUMNS} from user_sessions s join users u on u.id = s.user_id "
            "where s.user_id = $1 and s.state = 'active' order by s.last_seen_at desc, s.id desc",
            user_id,
        )
    )


async def touch(pool: Pool, digest: bytes, now: datetime) -> None:
    await pool.execute("update user_sessions set last_seen_at = $2 where hash = $1 and last_seen_at < $2", digest, now)


async def step_up(
    pool: Pool, old: bytes, new: bytes, amr: list[str], now: datetime, expires_at: datetime
) -> UUID | None:
    """A pending session gets its full life; one that was active keeps its end."""
    found: UUID | None = await pool.fetchval(
        """
        update user_sessions
        set hash = $2, amr = (select array_agg(distinct method) from unnest(amr || $3::text[]) method),
          auth_time = $4, last_seen_at = $4, tries = 0, state = 'active',
          expires_at = case when state = 'pending' then $5 else expires_at end
        where hash = $1 and expires_at > $4 returning id""",
        old,
        new,
        amr,
        now,
        expires_at,
    )
    return found


async def count_try(pool: Pool, digest: bytes) -> int | None:
    tries: int | None = await pool.fetchval(
        "update user_sessions set tries = tries + 1 where hash = $1 and state = 'pending' returning tries", digest
    )
    return tries


async def set_organization(pool: Pool, digest: bytes, organization_id: UUID | None, workspace_id: UUID | None) -> None:
    await pool.execute(
        "update user_sessions set organization_id = $2, workspace_id = $3 where hash = $1",
        digest,
        organization_id,
        workspace_id,
    )


async def clear_organization(pool: Pool, user_id: UUID, organization_id: UUID) -> list[bytes]:
    return _hashes(
        await pool.fetch(
            "update user_sessions set organization_id = null, workspace_id = null "
            "where user_id = $1 and organization_id = $2 returning hash",
            user_id,
            organization_id,
        )
    )


async def hashes_of_session(pool: Pool, digest: bytes) -> list[bytes]:
    return _hashes(await pool.fetch("select hash from user_sessions where hash = $1", digest))


async def hashes_of_user(pool: Pool, user_id: UUID) -> list[bytes]:
    return _hashes(await pool.fetch("select hash from user_sessions where user_id = $1", user_id))


async def delete(pool: Pool, digest: bytes) -> list[bytes]:
    return _hashes(await pool.fetch("delete from user_sessions where hash = $1 returning hash", digest))


async def delete_one(pool: Pool, user_id: UUID, session_id: UUID) -> list[bytes]:
    return _hashes(
        await pool.fetch("delete from user_sessions where user_id = $1 and id = $2 returning hash", user_id, session_id)
    )


async def delete_all(pool: Pool, user_id: UUID, keep: UUID | None) -> list[bytes]:
    return _hashes(
        await pool.fetch(
            "delete from user_sessions where user_id = $1 and ($2::uuid is null or id <> $2) returning hash",
            user_id,
            keep,
        )
    )


def _hashes(rows: Sequence[Any]) -> list[bytes]:
    return [row["hash"] for row in rows]
