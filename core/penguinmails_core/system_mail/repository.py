"""SQL of the organization that the server's own mail belongs to."""

from __future__ import annotations

from uuid import UUID

from penguinmails_core.kit.db import Pool


async def ensure_organization(pool: Pool, organization_id: UUID, workspace_id: UUID, name: str) -> None:
    await pool.execute(
        "insert into organizations (id, name) values ($1, $2) on conflict (id) do nothing", organization_id, name
    )
    await pool.execute(
        "insert into workspaces (organization_id, id, name, slug, is_default) values ($1, $2, 'Default', 'default', "
        "true) on conflict do nothing",
        organization_id,
        workspace_id,
    )


async def domain_owner(pool: Pool, name: str) -> UUID | None:
    """Which organization verified the domain."""
    found: UUID | None = await pool.fetchval(
        "select organization_id from domains where name = $1 and status = 'verified'", name
    )
    return found
