"""SQL of the token endpoint and its siblings, as `worker`: the organization is known once the client's row is read.

Only the tables of the OAuth server are touched here. Code, refresh token and device are locked together with their
grant: who waited for the lock must see what the other one did to both. Time is `clock_timestamp()`, since `now()` is
when the transaction began, which after waiting for a lock is in the past.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.oauth.records import (
    CLI,
    CODE_GRANT,
    DEVICE_GRANT,
    REFRESH_GRANT,
    App,
    Code,
    Device,
    Grant,
    Person,
    RefreshToken,
)

_APP = """
select id, organization_id, workspace_id, mode, name, confidential, secret_hash,
  case when previous_secret_expires_at > clock_timestamp() then previous_secret_hash end as previous_secret,
  redirect_uris, grant_types, scopes, requested_scopes, client_uri, id_token_alg, dpop_bound, origin,
  exists (select from oauth_approvals p where p.id = a.id) as approved
from oauth_apps a where id = $1"""

_GRANT = """
g.id as grant_id, g.organization_id, g.app_id, g.user_id, g.workspace_id, g.mode, g.scopes, g.resources, g.jkt,
g.auth_time, g.amr, g.revoked_at"""

_CODE = f"""
select c.hash, c.redirect_uri, c.code_challenge, c.nonce, c.used_at is not null as used,
  c.expires_at <= clock_timestamp() as expired, {_GRANT}
from oauth_codes c join oauth_grants g on (g.organization_id, g.id) = (c.organization_id, c.grant_id)
where c.hash = $1 for update of c, g"""

_REFRESH_TOKEN = f"""
select r.hash, r.expires_at <= clock_timestamp() as expired,
  extract(epoch from clock_timestamp() - r.used_at)::float as used_for, {_GRANT}
from oauth_refresh_tokens r join oauth_grants g on (g.organization_id, g.id) = (r.organization_id, r.grant_id)
where r.hash = $1 for update of r, g"""

_DEVICE = """
select hash, user_code, app_id, scopes, resources, status, interval, organization_id, grant_id,
  extract(epoch from clock_timestamp() - last_polled_at)::float as polled_for,
  expires_at <= clock_timestamp() as expired
from oauth_devices where hash = $1 for update"""

_GRANT_BY_ID = f"select {_GRANT} from oauth_grants g where organization_id = $1 and id = $2"
_GRANT_OF_APP = (
    f"select {_GRANT} from oauth_grants g where organization_id = $1 and app_id = $2 and flow = 'client_credentials' "
    "and revoked_at is null"
)
_PERSON = """
select u.id, u.email, u.name, c.email_verified_at is not null as email_verified
from users u left join user_credentials c on c.user_id = u.id where u.id = $1"""

_TABLES = {CODE_GRANT: "oauth_codes", REFRESH_GRANT: "oauth_refresh_tokens", DEVICE_GRANT: "oauth_devices"}
_OWNER = """
select g.organization_id, g.user_id, g.workspace_id
from {table} t join oauth_grants g on (g.organization_id, g.id) = (t.organization_id, t.grant_id)
where t.hash = $1 and g.user_id is not null"""

USE_CODE = "update oauth_codes set used_at = clock_timestamp() where hash = $1"
USE_REFRESH = "update oauth_refresh_tokens set used_at = coalesce(used_at, clock_timestamp()) where hash = $1"
USE_DEVICE = "update oauth_devices set status = 'used' where hash = $1"
POLL_DEVICE = "update oauth_devices set last_polled_at = clock_timestamp(), interval = $2 where hash = $1"
ADD_CODE = """
insert into oauth_codes (hash, organization_id, grant_id, redirect_uri, code_challenge, nonce, expires_at)
values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::interval)"""
ADD_REFRESH = """
insert into oauth_refresh_tokens (hash, organization_id, grant_id, expires_at)
values ($1, $2, $3, clock_timestamp() + $4::interval)"""
ADD_DEVICE = """
insert into oauth_devices (hash, user_code, app_id, scopes, resources, jkt, interval, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::interval)"""
ADD_GRANT = """
insert into oauth_grants (organization_id, id, app_id, app_name, user_id, workspace_id, mode, flow, scopes, resources,
  auth_time, amr, jkt)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
TOUCH_GRANT = """
update oauth_grants set activated_at = coalesce(activated_at, clock_timestamp()), last_used_at = clock_timestamp()
where organization_id = $1 and id = $2"""
BIND_GRANT = "update oauth_grants set jkt = $3 where organization_id = $1 and id = $2 and jkt is null"
TOUCH_APP = """
update oauth_apps set last_used_at = clock_timestamp()
where id = $1 and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 hour')"""
REVOKE_GRANT = """
update oauth_grants set revoked_at = clock_timestamp(), revoked_reason = $3
where organization_id = $1 and id = $2 and revoked_at is null"""
REVOKE_JTI = """
insert into oauth_revoked_tokens (jti, expires_at) values ($1, to_timestamp($2)) on conflict do nothing"""
ADD_PUSHED_REQUEST = """
insert into oauth_pushed_requests (hash, app_id, parameters, expires_at)
values ($1, $2, $3, clock_timestamp() + $4::interval)"""


class Owner(NamedTuple):
    """Who granted, and where."""

    organization_id: UUID
    user_id: UUID
    workspace_id: UUID | None


async def owner(connection: Connection, grant_type: str, digest: bytes) -> Owner | None:
    """The person behind a credential, without a lock."""
    row = await connection.fetchrow(_OWNER.format(table=_TABLES[grant_type]), digest)
    return Owner(row["organization_id"], row["user_id"], row["workspace_id"]) if row is not None else None


async def app(connection: Pool | Connection, app_id: UUID) -> App | None:
    """By id; the command line's own app needs no row."""
    if app_id == CLI.id:
        return CLI
    row = await connection.fetchrow(_APP, app_id)
    return App.of(row) if row is not None else None


async def code(connection: Connection, digest: bytes) -> Code | None:
    row = await connection.fetchrow(_CODE, digest)
    if row is None:
        return None
    return Code(
        row["hash"],
        Grant.of(row),
        row["redirect_uri"],
        row["code_challenge"],
        row["nonce"],
        expired=row["expired"],
        used=row["used"],
    )


async def refresh_token(connection: Connection, digest: bytes) -> RefreshToken | None:
    row = await connection.fetchrow(_REFRESH_TOKEN, digest)
    if row is None:
        return None
    return RefreshToken(row["hash"], Grant.of(row), expired=row["expired"], used_for=row["used_for"])


async def device(connection: Connection, digest: bytes) -> Device | None:
    row = await connection.fetchrow(_DEVICE, digest)
    if row is None:
        return None
    granted = None
    if row["grant_id"] is not None:
        granted = await grant(connection, row["organization_id"], row["grant_id"])
    return Device(
        row["hash"],
        row["user_code"],
        row["app_id"],
        tuple(row["scopes"]),
        row["status"],
        row["interval"],
        row["polled_for"],
        expired=row["expired"],
        grant=granted,
    )


async def grant(connection: Pool | Connection, organization_id: UUID, grant_id: UUID) -> Grant | None:
    row = await connection.fetchrow(_GRANT_BY_ID, organization_id, grant_id)
    return Grant.of(row) if row is not None else None


async def own_grant(connection: Connection, app: App) -> Grant:
    """What an app has by its own credentials: one grant, made when it first asks."""
    row = await connection.fetchrow(_GRANT_OF_APP, app.organization_id, app.id)
    if row is None:
        await connection.execute("select pg_advisory_xact_lock(hashtextextended('oauth grant ' || $1, 0))", str(app.id))
        row = await connection.fetchrow(_GRANT_OF_APP, app.organization_id, app.id)
    if row is None:
        await connection.execute(
            ADD_GRANT,
            app.organization_id,
            new_uuid(),
            app.id,
            app.name,
            None,
            app.workspace_id,
            app.mode,
            "client_credentials",
            list(app.scopes),
            [],
            None,
            [],
            None,
        )
        row = await connection.fetchrow(_GRANT_OF_APP, app.organization_id, app.id)
    return Grant.of(row)


async def person(connection: Pool | Connection, user_id: UUID, scopes: frozenset[str]) -> Person | None:
    row = await connection.fetchrow(_PERSON, user_id)
    if row is None:
        return None
    return Person(row["id"], row["email"], row["email_verified"], row["name"], scopes)


_BEARER = """
select g.revoked_at is not null as revoked, g.flow, g.mode, g.workspace_id, g.scopes, g.app_id, g.user_id,
  a.scopes || a.requested_scopes as app_scopes, w.id as default_workspace_id,
  exists (select from oauth_revoked_tokens t where t.jti = $3) as token_revoked
from oauth_grants g
join workspaces w on w.organization_id = g.organization_id and w.is_default
left join oauth_apps a on a.id = g.app_id
where g.organization_id = $1 and g.id = $2"""


async def show_proof(connection: Pool | Connection, once: bytes, seconds: int) -> bool:
    """False when this DPoP proof was shown before."""
    found = await connection.fetchval(
        "insert into oauth_proofs (hash, expires_at) values ($1, clock_timestamp() + make_interval(secs => $2)) "
        "on conflict do nothing returning true",
        once,
        seconds,
    )
    return found is not None


async def standing(pool: Pool, organization_id: UUID, grant_id: UUID, jti: UUID) -> Any | None:
    """What a bearer's grant and app are worth now; None when the grant is gone."""
    return await pool.fetchrow(_BEARER, organization_id, grant_id, jti)
