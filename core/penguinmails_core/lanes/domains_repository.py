"""SQL of what is known about recipients' domains. Roles `ingest` (reads) and `worker`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from penguinmails_core.kit.db import Pool


async def changed_since(pool: Pool, since: datetime | None, limit: int) -> list[Any]:
    """The oldest changes first; with `since` None only domains of a known provider, the newest first."""
    if since is None:
        return list(
            await pool.fetch(
                """
                select domain, provider_group, updated_at from recipient_domains where provider_group <> 'other'
                order by updated_at desc limit $1
                """,
                limit,
            )
        )
    return list(
        await pool.fetch(
            """
            select domain, provider_group, updated_at from recipient_domains where updated_at > $1
            order by updated_at limit $2
            """,
            since,
            limit,
        )
    )


async def learn(pool: Pool, rows: Sequence[tuple[str, str, str | None, float]]) -> None:
    """(domain, group, MX host, seconds until it is asked again). A domain that was mailed counts as seen."""
    if not rows:
        return
    await pool.execute(
        """
        insert into recipient_domains (domain, provider_group, mx_host, recheck_at, updated_at)
        select domain, provider_group, mx_host, now() + make_interval(secs => wait), clock_timestamp()
        from unnest($1::text[], $2::text[], $3::text[], $4::float8[]) as t (domain, provider_group, mx_host, wait)
        order by domain
        on conflict (domain) do update set provider_group = excluded.provider_group, mx_host = excluded.mx_host,
          recheck_at = excluded.recheck_at,
          updated_at = case when recipient_domains.provider_group = excluded.provider_group
            then recipient_domains.updated_at else excluded.updated_at end
        """,
        *map(list, zip(*sorted(rows), strict=True)),
    )


async def known(pool: Pool, domains: Sequence[str]) -> dict[str, str]:
    """Groups of the domains that were looked up before. What is asked for is being mailed, so it counts as seen."""
    await pool.execute(
        """
        update recipient_domains set seen_at = now()
        where domain = any ($1::text[]) and seen_at < now() - interval '1 day'
        """,
        domains,
    )
    found = await pool.fetch(
        "select domain, provider_group from recipient_domains where domain = any ($1::text[])", domains
    )
    return {row["domain"]: row["provider_group"] for row in found}


async def forget_unseen(pool: Pool, after: timedelta) -> None:
    await pool.execute("delete from recipient_domains where seen_at < now() - $1::interval", after)


async def due_for_recheck(pool: Pool, limit: int) -> list[str]:
    rows = await pool.fetch(
        "select domain from recipient_domains where recheck_at < now() order by recheck_at limit $1", limit
    )
    return [row["domain"] for row in rows]
