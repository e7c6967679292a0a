"""SQL of signing in, as `worker`: who comes is known before the organization is."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_CONNECTION = """
select c.organization_id, c.id, c.protocol, c.name, c.status, c.issuer, c.client_id, c.client_secret, c.sso_url,
  c.certificates, c.default_role
from sso_connections c """


async def connection_by_id(pool: Pool, connection_id: UUID) -> Any | None:
    return await pool.fetchrow(_CONNECTION + "where c.id = $1 and c.status = 'active'", connection_id)


async def connections_of_domain(pool: Pool, domain: str) -> list[Any]:
    """At most one: a proven domain belongs to one connection."""
    return list(
        await pool.fetch(
            _CONNECTION
            + "join sso_domains d on d.organization_id = c.organization_id and d.connection_id = c.id "
            + "where d.name = $1 and d.verified_at is not null and c.status = 'active'",
            domain,
        )
    )


async def connection_of_user(pool: Pool, user_id: UUID, organization_id: UUID | None) -> Any | None:
    """The connection that somebody used last, in the organization they work in if there is one."""
    return await pool.fetchrow(
        _CONNECTION
        + "join sso_identities i on i.organization_id = c.organization_id and i.connection_id = c.id "
        + "where i.user_id = $1 and c.status = 'active' "
        + "order by (c.organization_id = $2) desc nulls last, i.last_used_at desc nulls last limit 1",
        user_id,
        organization_id,
    )


async def must_use(pool: Pool, user_id: UUID) -> UUID | None:
    """The connection that this person has to sign in with. Owners are free: somebody must be able to come in when the
    identity provider is away."""
    found: UUID | None = await pool.fetchval(
        """
        select c.id from users u
        join sso_domains d on d.name = lower(substring(u.email from '[^@]+$')) and d.verified_at is not null
        join sso_connections c on c.organization_id = d.organization_id and c.id = d.connection_id
        join members m on m.organization_id = c.organization_id and m.user_id = u.id
        where u.id = $1 and c.enforced and c.status = 'active' and m.role <> 'owner'
        limit 1""",
        user_id,
    )
    return found


async def owns_domain(connection: Connection | Pool, connection_id: UUID, domain: str) -> bool:
    found = await connection.fetchval(
        "select 1 from sso_domains where connection_id = $1 and name = $2 and verified_at is not null",
        connection_id,
        domain,
    )
    return found is not None


# Browsers on their way


async def insert_request(
    pool: Pool, digest: bytes, connection_id: UUID, browser: bytes, data: dict[str, Any], expires_at: datetime
) -> None:
    await pool.execute(
        "insert into sso_requests (hash, connection_id, browser, data, expires_at) values ($1, $2, $3, $4, $5)",
        digest,
        connection_id,
        browser,
        data,
        expires_at,
    )


async def take_request(pool: Pool, digest: bytes) -> Any | None:
    """Deleted by being read: an answer is judged once."""
    return await pool.fetchrow(
        "delete from sso_requests where hash = $1 and code_hash is null "
        "returning connection_id, browser, data, expires_at > now() as current",
        digest,
    )


async def peek_request(pool: Pool, digest: bytes) -> Any | None:
    return await pool.fetchrow(
        "select connection_id, data from sso_requests where hash = $1 and code_hash is null and expires_at > now()",
        digest,
    )


async def answer_request(
    pool: Pool, digest: bytes, code_hash: bytes, result: dict[str, Any], expires_at: datetime
) -> bool:
    """Keep what SAML's answer says for the browser that asked; False when there is an answer already."""
    found = await pool.fetchval(
        "update sso_requests set code_hash = $2, result = $3, expires_at = least(expires_at, $4) "
        "where hash = $1 and code_hash is null and expires_at > now() returning 1",
        digest,
        code_hash,
        result,
        expires_at,
    )
    return found is not None


async def take_answer(pool: Pool, code_hash: bytes) -> Any | None:
    return await pool.fetchrow(
        "delete from sso_requests where code_hash = $1 "
        "returning connection_id, browser, data, result, expires_at > now() as current",
        code_hash,
    )


async def use_assertion(pool: Pool, connection_id: UUID, digest: bytes, expires_at: datetime) -> bool:
    """False when it was used before."""
    found = await pool.fetchval(
        "insert into sso_assertions (connection_id, hash, expires_at) values ($1, $2, $3) "
        "on conflict do nothing returning 1",
        connection_id,
        digest,
        expires_at,
    )
    return found is not None


async def sweep(pool: Pool) -> None:
    await pool.execute("delete from sso_requests where expires_at < now()")
    await pool.execute("delete from sso_assertions where expires_at < now()")


# Who they are


async def identity(connection: Connection, organization_id: UUID, connection_id: UUID, subject: str) -> Any | None:
    return await connection.fetchrow(
        "select user_id, linked from sso_identities where organization_id = $1 and connection_id = $2 and subject = $3",
        organization_id,
        connection_id,
        subject,
    )


async def touch(connection: Connection, organization_id: UUID, connection_id: UUID, subject: str) -> None:
    await connection.execute(
        "update sso_identities set last_used_at = now() "
        "where organization_id = $1 and connection_id = $2 and subject = $3",
        organization_id,
        connection_id,
        subject,
    )
    await connection.execute(
        "update sso_connections set last_used_at = now() where organization_id = $1 and id = $2",
        organization_id,
        connection_id,
    )


async def link(
    connection: Connection, organization_id: UUID, connection_id: UUID, subject: str, user_id: UUID, linked: bool
) -> None:
    await connection.execute(
        "insert into sso_identities (organization_id, connection_id, subject, user_id, linked) "
        "values ($1, $2, $3, $4, $5) on conflict do nothing",
        organization_id,
        connection_id,
        subject,
        user_id,
        linked,
    )


async def provisioned(connection: Connection, organization_id: UUID, connection_id: UUID, user_id: UUID) -> bool | None:
    """Whether SCIM of this connection says that the person is active; None when it does not know them."""
    found: bool | None = await connection.fetchval(
        "select coalesce((document ->> 'active')::boolean, true) from scim_resources "
        "where organization_id = $1 and connection_id = $2 and user_id = $3 and resource_type = 'User'",
        organization_id,
        connection_id,
        user_id,
    )
    return found


async def is_member(connection: Connection, organization_id: UUID, user_id: UUID) -> bool:
    found = await connection.fetchval(
        "select 1 from members where organization_id = $1 and user_id = $2", organization_id, user_id
    )
    return found is not None
