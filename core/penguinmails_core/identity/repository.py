"""SQL of people and their credentials, as `worker`: who a person is comes before the organization they work in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_ACCOUNT = """
select u.id, u.email, u.name, c.password_hash, c.email_verified_at, c.totp_secret, c.totp_confirmed_at,
  c.webauthn_handle,
  exists (select from passkeys p where p.user_id = u.id) as has_passkey
from users u left join user_credentials c on c.user_id = u.id """


async def account_by_email(pool: Pool, email: str) -> Any | None:
    return await pool.fetchrow(_ACCOUNT + "where lower(u.email) = lower($1)", email)


async def account_by_id(pool: Pool, user_id: UUID) -> Any | None:
    return await pool.fetchrow(_ACCOUNT + "where u.id = $1", user_id)


async def insert_user(connection: Connection, user_id: UUID, email: str, name: str | None) -> bool:
    """False when somebody has that address already."""
    found = await connection.fetchval(
        "insert into users (id, email, name) values ($1, $2, $3) on conflict do nothing returning id",
        user_id,
        email,
        name,
    )
    return found is not None


async def ensure_credential(connection: Connection, user_id: UUID, handle: bytes) -> None:
    await connection.execute(
        "insert into user_credentials (user_id, webauthn_handle) values ($1, $2) on conflict (user_id) do nothing",
        user_id,
        handle,
    )


async def insert_member(
    connection: Connection, organization_id: UUID, member_id: UUID, user_id: UUID, role: str
) -> bool:
    """False when they were a member already."""
    status: str = await connection.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, $4) "
        "on conflict (organization_id, user_id) do nothing",
        organization_id,
        member_id,
        user_id,
        role,
    )
    return status.endswith(" 1")


async def organizations_of(pool: Pool, user_id: UUID) -> list[Any]:
    """Where a person is a member, by name: id, name, role."""
    return list(
        await pool.fetch(
            "select o.id, o.name, m.role from members m join organizations o on o.id = m.organization_id "
            "where m.user_id = $1 order by lower(o.name), o.id",
            user_id,
        )
    )


async def set_name(pool: Pool, user_id: UUID, name: str | None) -> None:
    await pool.execute("update users set name = $2, updated_at = now() where id = $1", user_id, name)


async def set_email(connection: Connection, user_id: UUID, email: str) -> None:
    """Raises asyncpg's UniqueViolationError when somebody else has the address."""
    await connection.execute("update users set email = $2, updated_at = now() where id = $1", user_id, email)


async def set_password(connection: Connection, user_id: UUID, hashed: str) -> None:
    await connection.execute(
        "update user_credentials set password_hash = $2, password_changed_at = now(), updated_at = now() "
        "where user_id = $1",
        user_id,
        hashed,
    )


async def replace_hash(pool: Pool, user_id: UUID, old: str, new: str) -> None:
    """The same password with newer parameters; nothing when it was changed meanwhile."""
    await pool.execute(
        "update user_credentials set password_hash = $3 where user_id = $1 and password_hash = $2", user_id, old, new
    )


async def set_email_verified(connection: Connection, user_id: UUID) -> None:
    await connection.execute(
        "update user_credentials set email_verified_at = now(), updated_at = now() where user_id = $1", user_id
    )


# One-time codes


async def set_totp(pool: Pool, user_id: UUID, sealed: bytes) -> bool:
    """A secret to be confirmed; False when one counts already."""
    found = await pool.fetchval(
        "update user_credentials set totp_secret = $2, totp_last_step = 0, updated_at = now() "
        "where user_id = $1 and totp_confirmed_at is null returning 1",
        user_id,
        sealed,
    )
    return found is not None


async def use_step(pool: Pool, user_id: UUID, step: int) -> bool:
    """False when that step, or a later one, was used before."""
    found = await pool.fetchval(
        "update user_credentials set totp_last_step = $2 where user_id = $1 and totp_last_step < $2 returning 1",
        user_id,
        step,
    )
    return found is not None


async def confirm_totp(pool: Pool, user_id: UUID, sealed: bytes) -> bool:
    """False when the secret is not the one that was shown, or counts already."""
    found = await pool.fetchval(
        "update user_credentials set totp_confirmed_at = now(), updated_at = now() "
        "where user_id = $1 and totp_secret = $2 and totp_confirmed_at is null returning 1",
        user_id,
        sealed,
    )
    return found is not None


async def clear_totp(pool: Pool, user_id: UUID) -> bool:
    found = await pool.fetchval(
        "update user_credentials set totp_secret = null, totp_confirmed_at = null, updated_at = now() "
        "where user_id = $1 and totp_confirmed_at is not null returning 1",
        user_id,
    )
    return found is not None


async def replace_recovery_codes(connection: Connection, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """In a transaction. Waits for another replacement of the same person's codes."""
    await connection.execute("select from user_credentials where user_id = $1 for update", user_id)
    await connection.execute("delete from recovery_codes where user_id = $1", user_id)
    await connection.execute(
        "insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])", user_id, list(hashes)
    )


async def use_recovery_code(pool: Pool, user_id: UUID, digest: bytes) -> bool:
    found = await pool.fetchval(
        "delete from recovery_codes where user_id = $1 and hash = $2 returning 1", user_id, digest
    )
    return found is not None


async def count_recovery_codes(pool: Pool, user_id: UUID) -> int:
    count: int = await pool.fetchval("select count(*) from recovery_codes where user_id = $1", user_id)
    return count


async def clear_recovery_codes(pool: Pool, user_id: UUID) -> None:
    await pool.execute("delete from recovery_codes where user_id = $1", user_id)


# Passkeys


async def set_challenge(pool: Pool, browser: bytes, purpose: str, challenge: bytes, expires_at: datetime) -> None:
    await pool.execute(
        """
        insert into webauthn_challenges (browser, purpose, challenge, expires_at) values ($1, $2, $3, $4)
        on conflict (browser, purpose) do update set challenge = excluded.challenge, expires_at = excluded.expires_at
        """,
        browser,
        purpose,
        challenge,
        expires_at,
    )


async def take_challenge(pool: Pool, browser: bytes, purpose: str) -> bytes | None:
    """Deleted by being read: an answer is judged once."""
    row = await pool.fetchrow(
        "delete from webauthn_challenges where browser = $1 and purpose = $2 returning challenge, expires_at > now()",
        browser,
        purpose,
    )
    return row[0] if row is not None and row[1] else None


async def insert_passkey(
    connection: Connection,
    passkey_id: UUID,
    user_id: UUID,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
    name: str,
    backed_up: bool,
) -> None:
    """Raises asyncpg's UniqueViolationError for a credential that is known."""
    await connection.execute(
        """
        insert into passkeys (id, user_id, credential_id, public_key, sign_count, name, backed_up)
        values ($1, $2, $3, $4, $5, $6, $7)""",
        passkey_id,
        user_id,
        credential_id,
        public_key,
        sign_count,
        name,
        backed_up,
    )


async def passkey_by_credential(pool: Pool, credential_id: bytes) -> Any | None:
    return await pool.fetchrow(
        """
        select p.id, p.user_id, p.public_key, p.sign_count, c.webauthn_handle, u.email
        from passkeys p join user_credentials c on c.user_id = p.user_id join users u on u.id = p.user_id
        where p.credential_id = $1""",
        credential_id,
    )


async def use_passkey(pool: Pool, passkey_id: UUID, sign_count: int) -> bool:
    """False when the counter did not go forward, unless it never counts (synchronised passkeys)."""
    found = await pool.fetchval(
        "update passkeys set sign_count = $2, last_used_at = now() "
        "where id = $1 and (sign_count < $2 or (sign_count = 0 and $2 = 0)) returning 1",
        passkey_id,
        sign_count,
    )
    return found is not None


async def passkeys_of(pool: Pool, user_id: UUID) -> list[Any]:
    return list(
        await pool.fetch(
            "select id, credential_id, name, backed_up, created_at, last_used_at from passkeys "
            "where user_id = $1 order by id",
            user_id,
        )
    )


async def delete_passkey(pool: Pool, user_id: UUID, passkey_id: UUID) -> str | None:
    """Its name, or None when that person has no such passkey."""
    name: str | None = await pool.fetchval(
        "delete from passkeys where user_id = $1 and id = $2 returning name", user_id, passkey_id
    )
    return name


# Links


async def insert_link(
    connection: Connection,
    digest: bytes,
    purpose: str,
    user_id: UUID | None,
    email: str,
    data: dict[str, Any],
    expires_at: datetime,
) -> None:
    await connection.execute(
        "insert into identity_links (hash, purpose, user_id, email, data, expires_at) values ($1, $2, $3, $4, $5, $6)",
        digest,
        purpose,
        user_id,
        email,
        data,
        expires_at,
    )


async def peek_link(pool: Pool, digest: bytes, purpose: str) -> Any | None:
    return await pool.fetchrow(
        "select user_id, email, data from identity_links "
        "where hash = $1 and purpose = $2 and used_at is null and expires_at > now()",
        digest,
        purpose,
    )


async def use_link(connection: Connection, digest: bytes, purpose: str) -> Any | None:
    """The first of all who ask at once gets it."""
    return await connection.fetchrow(
        "update identity_links set used_at = now() "
        "where hash = $1 and purpose = $2 and used_at is null and expires_at > now() returning user_id, email, data",
        digest,
        purpose,
    )


async def void_links(connection: Connection, user_id: UUID, purpose: str) -> None:
    """Older links of the same kind lose their power once one was used."""
    await connection.execute(
        "update identity_links set used_at = now() where user_id = $1 and purpose = $2 and used_at is null",
        user_id,
        purpose,
    )


# Housekeeping


async def sweep(pool: Pool) -> None:
    """Forget sessions, challenges and links whose time is over."""
    await pool.execute("delete from webauthn_challenges where expires_at < now()")
    await pool.execute("delete from user_sessions where expires_at < now()")
    await pool.execute("delete from identity_links where expires_at < now() - interval '7 days'")
