"""SQL of apps that registered themselves, as `worker`: they belong to no organization."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Pool

COLUMNS = (
    "name",
    "confidential",
    "redirect_uris",
    "grant_types",
    "scopes",
    "requested_scopes",
    "contacts",
    "software_id",
    "software_version",
    "id_token_alg",
    "dpop_bound",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "secret_hash",
    "secret_hint",
    "registration_hash",
)
_PLACES = ", ".join(f"${number}" for number in range(3, len(COLUMNS) + 3))
_INSERT = f"""
insert into oauth_apps (organization_id, id, mode, origin, {", ".join(COLUMNS)})
values ($1, $2, 'live', 'dynamic', {_PLACES}) returning created_at"""
_GET = f"select {', '.join(COLUMNS)}, created_at from oauth_apps where organization_id = $1 and id = $2"
_UPDATE = f"""
update oauth_apps set ({", ".join(COLUMNS)}, updated_at) = ({_PLACES}, now()) where organization_id = $1 and id = $2"""


async def insert(pool: Pool, owner: UUID, app_id: UUID, values: Mapping[str, Any]) -> datetime:
    made: datetime = await pool.fetchval(_INSERT, owner, app_id, *(values[name] for name in COLUMNS))
    return made


async def get(pool: Pool, owner: UUID, app_id: UUID) -> Any | None:
    return await pool.fetchrow(_GET, owner, app_id)


async def update(pool: Pool, owner: UUID, app_id: UUID, values: Mapping[str, Any], *, withdraw: bool) -> None:
    """`withdraw`: every organization has to approve it anew, and grants shrink to what it has unapproved."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_UPDATE, owner, app_id, *(values[name] for name in COLUMNS))
        if withdraw:
            await connection.execute("delete from oauth_approvals where id = $1", app_id)
            await connection.execute(
                "update oauth_grants set scopes = array(select s from unnest(scopes) s where s = any ($2)) "
                "where app_id = $1 and revoked_at is null",
                app_id,
                values["scopes"],
            )


async def delete(pool: Pool, owner: UUID, app_id: UUID) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("delete from oauth_apps where organization_id = $1 and id = $2", owner, app_id)
        await connection.execute("delete from oauth_approvals where id = $1", app_id)
        await connection.execute(
            "update oauth_grants set revoked_at = now(), revoked_reason = 'app_deleted' "
            "where app_id = $1 and revoked_at is null",
            app_id,
        )
