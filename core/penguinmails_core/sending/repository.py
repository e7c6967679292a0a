"""SQL of the sending engine: leases, results, what a claim's neighbours need. Role `worker`, plain asyncpg, in bulk.

Hot: the claim (`claim_repository`) and the result are what a message costs in the database. The result touches no
indexed column of the recipient, so it stays cheap whatever waits behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

_RESULTS = """
with d as materialized (
  select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[], $8::int[],
    $9::text[], $10::text[], $11::text[], $12::boolean[], $13::float8[], $14::text[], $15::int[])
    as t (ord, organization_id, recipient_id, attempt_id, number, outcome, status, code, enhanced_code, reply,
      remote_host, tls, wait, reason, events)
),
closed as (
  update email_attempts a set outcome = d.outcome, finished_at = now(), code = d.code,
    enhanced_code = d.enhanced_code, reply = d.reply, remote_host = d.remote_host, tls = d.tls
  from d where (a.organization_id, a.id) = (d.organization_id, d.attempt_id)
    -- "Nobody knows" is said once: by the sender, or by whoever took over.
    and (a.outcome = 'started' or a.outcome = 'ambiguous' and d.outcome <> 'ambiguous')
  returning a.id
),
-- A late result still counts, unless the recipient has been claimed again (a higher number) or dealt with otherwise.
changed as (
  update email_recipients r set status = d.status, code = d.code, enhanced_code = d.enhanced_code, reply = d.reply,
    reason = d.reason, due_at = case when d.wait is null then null else now() + make_interval(secs => d.wait) end,
    event_sequence = r.event_sequence + d.events, updated_at = now(),
    -- What was handed back unsent, of which nobody is told, was no attempt: the next wait must not be longer for it.
    attempts = r.attempts - case when d.status = 'deferred' and d.events = 0 then 1 else 0 end
  from d join closed on closed.id = d.attempt_id
  where (r.organization_id, r.id) = (d.organization_id, d.recipient_id) and r.attempts = d.number
    and (r.status = 'sending' or (r.status in ('queued', 'deferred', 'failed') and r.reason = 'outcome_unknown'))
  returning d.ord, r.event_sequence - d.events as before
),
told as (
  insert into events (organization_id, workspace_id, id, mode, type, resource_id, sequence, payload)
  select e.organization_id, e.workspace_id, e.id, e.mode, e.type, e.resource_id, c.before + e.n, e.payload::jsonb
  from unnest($16::int[], $17::int[], $18::uuid[], $19::uuid[], $20::uuid[], $21::text[], $22::text[], $23::uuid[],
    $24::text[]) as e (ord, n, organization_id, workspace_id, id, mode, type, resource_id, payload)
  join changed c on c.ord = e.ord
)
select ord from changed
"""

# One that has an end still holds the address's place; a bounce or complaint has none. A statement of its own, so that
# the place is free when the next one inserts.
_MAKE_WAY = """
update suppressions s set lifted_at = least(s.expires_at, now())
from unnest($1::uuid[], $2::text[]) as t (organization_id, address)
where (s.organization_id, s.address) = (t.organization_id, t.address)
  and s.mode = 'live' and s.scope = 'organization' and s.lifted_at is null and s.expires_at is not null
"""

_SUPPRESS = """
with t as materialized (
  select distinct on (organization_id, address) *
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[])
    as t (organization_id, workspace_id, id, address, reason, evidence, event_id, payload)
  order by organization_id, address
),
made as (
  insert into suppressions (organization_id, workspace_id, id, address, reason, evidence, event_sequence)
  select organization_id, workspace_id, id, address, reason, evidence::jsonb, 1 from t
  on conflict (organization_id, mode, address, scope, scope_value) where lifted_at is null do nothing
  returning id
)
insert into events (organization_id, workspace_id, id, mode, type, resource_id, sequence, payload)
select t.organization_id, t.workspace_id, t.event_id, 'live', 'suppression.created', t.id, 1, t.payload::jsonb
from t join made using (id)
"""

_LOST = """
with lost as materialized (
  select organization_id, id from email_attempts
  where outcome = 'started' and lease_until < now() order by lease_until limit $1 for update skip locked
),
closed as (
  update email_attempts a set outcome = 'ambiguous', finished_at = now() from lost
  where (a.organization_id, a.id) = (lost.organization_id, lost.id)
  returning a.organization_id, a.recipient_id, a.number
),
changed as (
  update email_recipients r set reason = 'outcome_unknown', updated_at = now(),
    status = case m.message_class when 'transactional' then 'queued' else 'failed' end,
    due_at = case m.message_class when 'transactional' then now() end,
    event_sequence = r.event_sequence + 1
  from closed c, email_messages m
  where (r.organization_id, r.id) = (c.organization_id, c.recipient_id)
    and r.status = 'sending' and r.attempts = c.number
    and (m.organization_id, m.id) = (r.organization_id, r.message_id)
  returning r.organization_id, r.id, r.message_id, r.kind, r.address, r.name, r.attempts as number, r.event_sequence,
    r.status, r.due_at, m.workspace_id, m.mode, m.message_class, m.from_address, m.from_domain, m.subject, m.tags,
    m.metadata
)
select * from changed
"""

_EVENTS = """
insert into events (organization_id, workspace_id, id, mode, type, resource_id, sequence, payload)
select organization_id, workspace_id, id, mode, type, resource_id, sequence, payload::jsonb
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::int[], $8::text[])
  as t (organization_id, workspace_id, id, mode, type, resource_id, sequence, payload)
"""


async def write_events(connection: Connection, columns: Sequence[Sequence[Any]]) -> None:
    """Columns: organization_id, workspace_id, id, mode, type, resource_id, sequence, payload (JSON text)."""
    await connection.execute(_EVENTS, *columns)


async def visible_recipients(pool: Pool, organizations: Sequence[UUID], messages: Sequence[UUID]) -> list[Any]:
    """To and Cc of messages, in the order in which they were given."""
    return list(
        await pool.fetch(
            """
            select r.organization_id, r.message_id, r.kind, r.address, r.name from email_recipients r
            join unnest($1::uuid[], $2::uuid[]) w (organization_id, message_id) using (organization_id, message_id)
            where r.kind <> 'bcc' order by r.organization_id, r.message_id, r.position
            """,
            organizations,
            messages,
        )
    )


async def suppressed(
    pool: Pool,
    organizations: Sequence[UUID],
    modes: Sequence[str],
    addresses: Sequence[str],
    classes: Sequence[str],
    lists: Sequence[str | None],
) -> set[tuple[UUID, str, str, str, str | None]]:
    """Which canonical addresses are suppressed now for mail of that class and list: the arguments, row by row."""
    rows = await pool.fetch(
        """
        select w.* from suppressions s
        join unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
          w (organization_id, mode, address, class, list) using (organization_id, mode, address)
        where s.lifted_at is null and (s.expires_at is null or s.expires_at > now())
          and (s.scope = 'organization' or s.scope = 'category' and s.scope_value = w.class
            or s.scope = 'list' and s.scope_value = w.list)
        """,
        organizations,
        modes,
        addresses,
        classes,
        lists,
    )
    return {tuple(row) for row in rows}


async def write_results(
    connection: Connection, results: Sequence[Sequence[Any]], events: Sequence[Sequence[Any]]
) -> set[int]:
    """Close attempts, move recipients, tell events; returns the ordinals that took effect."""
    return {row["ord"] for row in await connection.fetch(_RESULTS, *results, *events)}


async def suppress(connection: Connection, columns: Sequence[Sequence[Any]]) -> None:
    """Columns: organization_id, workspace_id, id, address (canonical), reason, evidence (JSON text), event id, the
    event's payload (JSON text). Live ones only. An address that is suppressed without an end keeps its first evidence
    and tells nothing. The caller has a transaction open."""
    await connection.execute(_MAKE_WAY, columns[0], columns[3])
    await connection.execute(_SUPPRESS, *columns)


async def take_over_lost(connection: Connection, limit: int) -> list[Any]:
    """Attempts whose lease ran out: nobody knows what became of them, so the message's class decides. Their event is
    the caller's to write in the same transaction, with the returned `event_sequence`."""
    return list(await connection.fetch(_LOST, limit))


async def extend_leases(
    pool: Pool, organizations: Sequence[UUID], attempts: Sequence[UUID], lease: timedelta
) -> set[UUID]:
    """Returns the attempts that are still ours; the others were taken over, or are finished."""
    rows = await pool.fetch(
        """
        update email_attempts a set lease_until = now() + $3::interval
        from unnest($1::uuid[], $2::uuid[]) w (organization_id, id)
        where (a.organization_id, a.id) = (w.organization_id, w.id) and a.outcome = 'started'
        returning a.id
        """,
        organizations,
        attempts,
        lease,
    )
    return {row["id"] for row in rows}


async def take_back(pool: Pool, attempts: Sequence[UUID]) -> int:
    """Undo claims of which the claimer never heard that they committed, and so never sent: due again at once, whatever
    the class. Returns how many there were."""
    status: str = await pool.execute(
        """
        with closed as (
          update email_attempts set outcome = 'deferred', finished_at = now(), reply = 'the claim was not confirmed'
          where outcome = 'started' and id = any ($1::uuid[])
          returning organization_id, recipient_id, number
        )
        update email_recipients r set status = 'deferred', due_at = now(), updated_at = now()
        from closed c
        where (r.organization_id, r.id) = (c.organization_id, c.recipient_id)
          and r.status = 'sending' and r.attempts = c.number
        """,
        attempts,
    )
    return int(status.rpartition(" ")[2])
