"""SQL for people. They exist apart from organizations, so most of it runs as `worker`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_MEMBERSHIPS = """
select m.id, m.organization_id, o.name as organization_name, m.role, m.custom_role_id, m.limited, m.created_at
from members m join organizations o on o.id = m.organization_id
where m.user_id = $1
order by m.created_at, m.id"""


async def insert(connection: Connection, user_id: UUID, email: str, name: str | None) -> bool:
    """False when the address is taken, in whatever case."""
    inserted = await connection.fetchval(
        "insert into users (id, email, name) values ($1, $2, $3) on conflict ((lower(email))) do nothing returning id",
        user_id,
        email,
        name,
    )
    return inserted is not None


async def find_by_email(worker: Pool | Connection, email: str) -> Any | None:
    return await worker.fetchrow("select id, email, name, created_at from users where lower(email) = lower($1)", email)


async def get(worker: Pool | Connection, user_id: UUID) -> Any | None:
    return await worker.fetchrow("select id, email, name, created_at from users where id = $1", user_id)


async def memberships(worker: Pool | Connection, user_id: UUID) -> list[Any]:
    """Across organizations: the oldest membership first."""
    rows: list[Any] = await worker.fetch(_MEMBERSHIPS, user_id)
    return rows
