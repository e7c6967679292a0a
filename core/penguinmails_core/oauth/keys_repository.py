"""SQL of the signing keys, as `worker`: they belong to the server, not to a tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from penguinmails_core.kit.db import Connection, Pool

# Every process may want to make the first key, or the next one, at the same moment.
_LOCK = "select pg_advisory_xact_lock(hashtextextended('oauth signing keys', 0))"


async def load(connection: Pool | Connection) -> list[Any]:
    """The whole ring, the newest first: kid, alg, private_key, signs_from, and seconds of age by the database's
    clock (`signs_for` is negative for a key whose time is still to come)."""
    return list(
        await connection.fetch(
            "select kid, alg, private_key, signs_from, "
            "extract(epoch from clock_timestamp() - signs_from)::float as signs_for "
            "from oauth_signing_keys order by signs_from desc, kid"
        )
    )


async def lock(connection: Connection) -> None:
    await connection.execute(_LOCK)


async def insert(connection: Connection, kid: str, alg: str, sealed: bytes, signs_in: timedelta) -> None:
    await connection.execute(
        "insert into oauth_signing_keys (kid, alg, private_key, signs_from) "
        "values ($1, $2, $3, clock_timestamp() + $4::interval)",
        kid,
        alg,
        sealed,
        signs_in,
    )


async def delete(connection: Connection, kids: list[str]) -> None:
    await connection.execute("delete from oauth_signing_keys where kid = any($1)", kids)
