"""SQL for plans, overrides and what an organization may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.limits.catalogue import Limit

# One round trip: the plan (or the default one), its overrides, and the reputation.
_LOAD = """
select to_jsonb(p) as plan,
  (select coalesce(jsonb_agg(to_jsonb(o)), '[]') from (
     select distinct on (name) id, name, value, reason, created_by, ends_at from limit_overrides
     where organization_id = $1 and (ends_at is null or ends_at > now())
     order by name, created_at desc, id desc) o) as overrides,
  (select min(ends_at) from limit_overrides where organization_id = $1 and ends_at > now()) as next_end,
  (select to_jsonb(r) from sending_reputations r where organization_id = $1 and factor < 1) as reputation
from plans p where p.code = coalesce((select plan from organization_plans where organization_id = $1), $2)"""


# What is counted. Archived workspaces take no place; neither do invitations, until they are accepted.
_COUNTED = {
    Limit.MAX_USERS: "select count(*) from members where organization_id = $1",
    Limit.MAX_WORKSPACES: "select count(*) from workspaces where organization_id = $1 and archived_at is null",
    Limit.MAX_EMAIL_ACCOUNTS: "select count(*) from mailboxes where organization_id = $1",
    Limit.MAX_DOMAINS: "select count(*) from domains where organization_id = $1",
}
_WAIT = "select pg_advisory_xact_lock(hashtextextended('limit ' || $2::text || ' ' || $1::text, 0))"


async def load(connection: Pool | Connection, organization_id: UUID, default_plan: str) -> Mapping[str, Any] | None:
    """`plan`, `overrides`, `next_end` and `reputation`; None when the default plan does not exist."""
    row: Mapping[str, Any] | None = await connection.fetchrow(_LOAD, organization_id, default_plan)
    return row


async def load_in(session: AsyncSession, organization_id: UUID, default_plan: str) -> Mapping[str, Any] | None:
    """As `load`, in a tenant's transaction."""
    statement = _LOAD.replace("$1", ":organization").replace("$2", ":plan")
    typed = text(statement).columns(
        column("plan", JSONB), column("overrides", JSONB), column("next_end"), column("reputation", JSONB)
    )
    found = await session.execute(typed, {"organization": organization_id, "plan": default_plan})
    row = found.mappings().first()
    return dict(row) if row is not None else None


async def wait_in_line(session: AsyncSession, organization_id: UUID, limit: Limit) -> None:
    """Until the commit, nobody else takes a place of this limit."""
    statement = _WAIT.replace("$1::text", "cast(:organization as text)").replace("$2::text", "cast(:limit as text)")
    await session.execute(text(statement), {"organization": str(organization_id), "limit": str(limit)})


async def wait_in_line_on(connection: Connection, organization_id: UUID, limit: Limit) -> None:
    """As `wait_in_line`; as `worker`."""
    await connection.execute(_WAIT, str(organization_id), str(limit))


async def count(session: AsyncSession, organization_id: UUID, limit: Limit) -> int:
    found = await session.scalar(
        text(_COUNTED[limit].replace("$1", ":organization")), {"organization": organization_id}
    )
    return int(found or 0)


async def count_on(connection: Connection, organization_id: UUID, limit: Limit) -> int:
    """As `count`; as `worker`."""
    found: int = await connection.fetchval(_COUNTED[limit], organization_id)
    return found


async def counts(session: AsyncSession, organization_id: UUID) -> dict[Limit, int]:
    """How many an organization has of all that a plan limits in number."""
    return {limit: await count(session, organization_id, limit) for limit in _COUNTED}


async def list_plans(connection: Pool) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = await connection.fetch("select * from plans order by position, code")
    return rows


async def plan_codes(connection: Connection) -> list[str]:
    return [row["code"] for row in await connection.fetch("select code from plans order by position, code")]


async def set_plan(connection: Connection, organization_id: UUID, plan: str, set_by: str) -> str | None:
    """Returns the plan before; as `worker`."""
    before: str | None = await connection.fetchval(
        "select plan from organization_plans where organization_id = $1 for update", organization_id
    )
    await connection.execute(
        """
        insert into organization_plans (organization_id, plan, set_by) values ($1, $2, $3)
        on conflict (organization_id) do update set plan = excluded.plan, set_by = excluded.set_by, set_at = now()""",
        organization_id,
        plan,
        set_by,
    )
    return before


async def add_override(
    connection: Connection,
    organization_id: UUID,
    override_id: UUID,
    name: str,
    value: int | None,
    reason: str,
    created_by: str,
    ends_at: datetime | None,
) -> None:
    await connection.execute(
        "insert into limit_overrides (organization_id, id, name, value, reason, created_by, ends_at) "
        "values ($1, $2, $3, $4, $5, $6, $7)",
        organization_id,
        override_id,
        name,
        value,
        reason,
        created_by,
        ends_at,
    )


async def end_overrides(connection: Connection, organization_id: UUID, name: str) -> int:
    """Returns how many were in force."""
    status: str = await connection.execute(
        "update limit_overrides set ends_at = clock_timestamp() "
        "where organization_id = $1 and name = $2 and (ends_at is null or ends_at > now())",
        organization_id,
        name,
    )
    return int(status.rpartition(" ")[2])


async def organization_exists(connection: Connection, organization_id: UUID) -> bool:
    found: bool = await connection.fetchval("select exists (select from organizations where id = $1)", organization_id)
    return found
