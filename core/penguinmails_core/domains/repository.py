"""SQL of sending domains and their DKIM keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool


async def insert_domain(
    connection: Connection, organization_id: UUID, domain_id: UUID, workspace_id: UUID, name: str, *, verified: bool
) -> None:
    await connection.execute(
        """
        insert into domains (organization_id, id, workspace_id, name, status, verified_at)
        values ($1, $2, $3, $4, case when $5 then 'verified' else 'pending' end, case when $5 then now() end)
        """,
        organization_id,
        domain_id,
        workspace_id,
        name,
        verified,
    )


async def insert_keys(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows: organization_id, id, domain_id, selector, algorithm, public_key (the TXT value), private_key (sealed)."""
    await connection.executemany(
        """
        insert into domain_keys (organization_id, id, domain_id, selector, algorithm, public_key, private_key)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        rows,
    )


async def verified_domain(pool: Pool, organization_id: UUID, name: str) -> Any | None:
    return await pool.fetchrow(
        "select id, workspace_id from domains where organization_id = $1 and name = $2 and status = 'verified'",
        organization_id,
        name,
    )


async def signing_keys(pool: Pool, organization_id: UUID, name: str) -> list[Any]:
    """Active keys of a verified domain, RSA first."""
    return list(
        await pool.fetch(
            """
            select k.id, k.selector, k.algorithm, k.private_key from domain_keys k
            join domains d on (d.organization_id, d.id) = (k.organization_id, k.domain_id)
            where d.organization_id = $1 and d.name = $2 and d.status = 'verified' and k.active
            order by k.algorithm desc, k.selector
            """,
            organization_id,
            name,
        )
    )


async def public_keys(pool: Pool, name: str, selector: str) -> list[str]:
    rows = await pool.fetch(
        """
        select k.public_key from domain_keys k
        join domains d on (d.organization_id, d.id) = (k.organization_id, k.domain_id)
        where d.name = $1 and d.status = 'verified' and k.selector = $2 and (k.active or k.state = 'retiring')
        """,
        name,
        selector,
    )
    return [row["public_key"] for row in rows]
