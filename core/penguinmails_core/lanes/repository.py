"""SQL of lanes as the engine keeps them. Role `worker`.

`lanes` holds one row for each source and provider group. A lane with a rate or a daily cap is locked by the claim that
takes from it, so its limits hold over all processes, exactly; a lane without one is never locked. Connections are not
counted across processes: each takes its share of them, by how many processes there are (`workers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_COLUMNS = """
id, source, provider_group, paused_until, pause_rule, pause_reason, factor, connections, crawl_until, crawl_per_second,
slowed_at, tokens, tokens_at, day, sent_today, daily_cap, cap_reason, hits, updated_at, now() as now
"""


async def ensure(pool: Pool, lanes: Sequence[tuple[UUID, str, str]]) -> list[Any]:
    """(id for a new one, source, group): makes what is not there yet and returns the rows of all."""
    ids, sources, groups = map(list, zip(*lanes, strict=True))
    await pool.execute(
        """
        insert into lanes (id, source, provider_group, tokens)
        select id, source, provider_group, 1000000  -- a full bucket, whatever its size
        from unnest($1::uuid[], $2::text[], $3::text[]) as t (id, source, provider_group)
        order by 2, 3 on conflict (source, provider_group) do nothing
        """,
        ids,
        sources,
        groups,
    )
    return list(
        await pool.fetch(
            f"select {_COLUMNS} from lanes where (source, provider_group) in (select * from unnest($1::text[], $2::text[]))",  # noqa: E501
            sources,
            groups,
        )
    )


async def join(pool: Pool, members: Sequence[tuple[UUID, UUID]]) -> None:
    """(organization, lane): from now on the organization sees the lane."""
    await pool.execute(
        """
        insert into lane_members (organization_id, lane_id) select * from unnest($1::uuid[], $2::uuid[])
        order by 1, 2 on conflict do nothing
        """,
        *map(list, zip(*members, strict=True)),
    )


async def changed_since(pool: Pool, since: datetime) -> list[Any]:
    return list(await pool.fetch(f"select {_COLUMNS} from lanes where updated_at > $1", since))


async def paused_members(pool: Pool) -> set[tuple[UUID, UUID]]:
    """(organization, lane) of those that hold their own mail back."""
    rows = await pool.fetch("select organization_id, lane_id from lane_members where paused_at is not null")
    return {(row["organization_id"], row["lane_id"]) for row in rows}


async def lock(connection: Connection, lane_ids: Sequence[UUID]) -> list[Any]:
    return list(
        await connection.fetch(
            f"select {_COLUMNS} from lanes where id = any ($1::uuid[]) order by id for update",
            lane_ids,
        )
    )


async def spend(connection: Connection, rows: Sequence[tuple[UUID, float, datetime, Any, int]]) -> None:
    """(lane, tokens left, as of, day, sent on that day) of locked lanes. Others need not hear of it: `updated_at`
    stays."""
    await connection.execute(
        """
        update lanes l set tokens = t.tokens, tokens_at = t.tokens_at, day = t.day, sent_today = t.sent_today
        from unnest($1::uuid[], $2::float8[], $3::timestamptz[], $4::date[], $5::int[])
          as t (id, tokens, tokens_at, day, sent_today)
        where l.id = t.id
        """,
        *map(list, zip(*rows, strict=True)),
    )


async def write_state(connection: Connection, row: dict[str, Any]) -> None:
    """What adaptation changes, of one locked lane."""
    await connection.execute(
        """
        update lanes set paused_until = $2, pause_rule = $3, pause_reason = $4, factor = $5, connections = $6,
          crawl_until = $7, crawl_per_second = $8, slowed_at = $9, hits = $10::jsonb, updated_at = clock_timestamp()
        where id = $1
        """,
        row["id"],
        row["paused_until"],
        row["pause_rule"],
        row["pause_reason"],
        row["factor"],
        row["connections"],
        row["crawl_until"],
        row["crawl_per_second"],
        row["slowed_at"],
        row["hits"],
    )


async def write_decisions(
    connection: Connection, decisions: Sequence[Sequence[Any]], evidence: Sequence[Sequence[Any]]
) -> None:
    """Decisions: id, lane, the organization that alone may read it or None, at, action, rule, why, replies, until,
    before, after (JSON texts). Evidence: organization, id, decision, from domain, recipient domain, reason, code,
    enhanced code, reply."""
    if decisions:
        await connection.execute(
            """
            insert into lane_decisions (id, lane_id, organization_id, at, action, rule, why, replies, until, before,
              after)
            select id, lane_id, organization_id, at, action, rule, why, replies, until, before::jsonb, after::jsonb
            from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
              $8::int[], $9::timestamptz[], $10::text[], $11::text[])
              as t (id, lane_id, organization_id, at, action, rule, why, replies, until, before, after)
            """,
            *map(list, zip(*decisions, strict=True)),
        )
    if evidence:
        await connection.execute(
            """
            insert into lane_evidence (organization_id, id, decision_id, from_domain, recipient_domain, reason, code,
              enhanced_code, reply)
            select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::int[],
              $8::text[], $9::text[])
            """,
            *map(list, zip(*evidence, strict=True)),
        )


async def count(connection: Connection, rows: Sequence[tuple[UUID, UUID, int, int, int, int]]) -> None:
    """(organization, lane, sent, deferred, bounced, blocked) to be added to today's."""
    await connection.execute(
        """
        insert into lane_days (organization_id, lane_id, day, sent, deferred, bounced, blocked)
        select organization_id, lane_id, (now() at time zone 'UTC')::date, sent, deferred, bounced, blocked
        from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[])
          as t (organization_id, lane_id, sent, deferred, bounced, blocked)
        order by organization_id, lane_id
        on conflict (organization_id, lane_id, day) do update set sent = lane_days.sent + excluded.sent,
          deferred = lane_days.deferred + excluded.deferred, bounced = lane_days.bounced + excluded.bounced,
          blocked = lane_days.blocked + excluded.blocked
        """,
        *map(list, zip(*sorted(rows), strict=True)),
    )


async def pause_domains(connection: Connection, rows: Sequence[tuple[UUID, str, datetime, str, str]]) -> None:
    """(organization, domain, until, rule, reply). A pause that lasts longer stays."""
    await connection.execute(
        """
        insert into sending_pauses (organization_id, domain, until, rule, reply)
        select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[]) order by 1, 2
        on conflict (organization_id, domain) do update set until = excluded.until, rule = excluded.rule,
          reply = excluded.reply, created_at = now() where sending_pauses.until < excluded.until
        """,
        *map(list, zip(*sorted(rows), strict=True)),
    )


async def ended_pauses(connection: Connection) -> list[Any]:
    """Lanes whose pause or crawl is over and not yet told, locked; what somebody else has in hand is theirs."""
    return list(
        await connection.fetch(
            f"""
            select {_COLUMNS} from lanes where paused_until <= now() or crawl_until <= now()
            order by id for update skip locked
            """
        )
    )


async def workers(pool: Pool, name: str, silent_after: timedelta) -> int:
    """Say that this process is there; returns how many are."""
    await pool.execute(
        "insert into sender_workers (name) values ($1) on conflict (name) do update set seen_at = now()", name
    )
    await pool.execute("delete from sender_workers where seen_at < now() - interval '1 hour'")
    count: int = await pool.fetchval(
        "select count(*) from sender_workers where seen_at > now() - $1::interval", silent_after
    )
    return count


async def leave(pool: Pool, name: str) -> None:
    await pool.execute("delete from sender_workers where name = $1", name)
