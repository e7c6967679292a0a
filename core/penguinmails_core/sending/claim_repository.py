"""SQL of the claim. Role `worker`, plain asyncpg, several queues at a time.

Hot: with the result it is what a message costs in the database. A queue is a lane's name and an organization, so that
nobody's mail stands in front of another's; the claim reads one index, (lane, organization_id, due_at), a step for each
queue it asks, and nulls the due time. Thousands of queues with little in them share a transaction, as one long queue's
messages do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool

# Two steps of the index for each queue, however many recipients wait in it; the first of a queue is the one due first.
_QUEUES = """
with recursive found as (
  (select lane, organization_id, due_at from email_recipients where due_at is not null
   order by lane, organization_id, due_at limit 1)
  union all
  select n.lane, n.organization_id, n.due_at from found f cross join lateral (
    select r.lane, r.organization_id, r.due_at from email_recipients r
    where r.due_at is not null and (r.lane, r.organization_id) > (f.lane, f.organization_id)
    order by r.lane, r.organization_id, r.due_at limit 1
  ) n
)
select lane, organization_id, extract(epoch from due_at - now())::float8 as wait from found
"""

# What must not happen any more is judged here, in the claiming statement: an opt-out or a pause of a second ago counts.
# A cancel writes the recipient's own row, so the row lock and the re-check after it cover that race. Columns of the
# recipient are those of the locked row: the statement's snapshot may be older than a reschedule that has committed.
# `held`, `moved` and `unsorted` only change when or where somebody waits; nobody is told and no attempt is opened.
_CLAIM = """
with asked as materialized (
  select q.* from unnest($1::text[], $2::uuid[], $3::uuid[], $4::int[]) as q (lane, organization_id, lane_id, most)
  where not exists (select from lanes l where l.id = q.lane_id and l.paused_until > now())
    and not exists (select from lane_members p where (p.organization_id, p.lane_id) = (q.organization_id, q.lane_id)
      and p.paused_at is not null)
),
picked as materialized (
  select p.* from asked q cross join lateral (
    select r.organization_id, r.id, r.message_id, r.kind, r.address, r.name, r.attempts, r.event_sequence, r.lane
    from email_recipients r
    where r.lane = q.lane and r.organization_id = q.organization_id and r.due_at <= now()
    order by r.due_at limit q.most for update of r skip locked
  ) p
  limit cardinality($5::uuid[])  -- never fewer than are there: it tells the planner how few they are
),
judged as materialized (
  select r.organization_id, r.id, r.message_id, r.kind, r.address, r.name, r.attempts + 1 as number, r.event_sequence,
    m.workspace_id, m.mode, m.message_class, m.from_address, m.from_name, m.from_domain, m.reply_to, m.subject, m.tags,
    m.metadata, m.size_bytes, m.created_at, m.scheduled_at, m.expires_at, m.options, r.lane, row_number() over () as n,
    h.until as held_until, d.provider_group as learned,
    case
      when exists (select from suppressions s where s.organization_id = r.organization_id and s.mode = m.mode
        and s.address = lower(r.address) and s.lifted_at is null and (s.expires_at is null or s.expires_at > now())
        and (s.scope = 'organization' or s.scope = 'category' and s.scope_value = m.message_class
          or s.scope = 'list' and s.scope_value = m.options #>> '{unsubscribe,list}'))
        then 'suppressed'
      when m.expires_at <= now() then 'expired'
      when h.until is not null then 'held'
      when d.provider_group <> 'other' then 'moved'
      when $8 and r.lane like 'live/%/other' and d.domain is null then 'unsorted'
      else 'sending'
    end as verdict
  from picked r
  join email_messages m on (m.organization_id, m.id) = (r.organization_id, r.message_id)
  left join sending_pauses h on (h.organization_id, h.domain) = (m.organization_id, m.from_domain)
    and h.until > now() and m.mode = 'live'
  left join recipient_domains d on $8 and r.lane like 'live/%/other'
    and d.domain = lower(substring(r.address from '[^@]*$'))
),
claimed as (
  update email_recipients r set updated_at = now(),
    due_at = case j.verdict when 'held' then j.held_until when 'moved' then now()
      when 'unsorted' then now() + interval '5 seconds' end,
    lane = case j.verdict when 'moved' then regexp_replace(r.lane, '[^/]*$', j.learned) else r.lane end,
    status = case when j.verdict in ('held', 'moved', 'unsorted') then r.status
      when j.verdict = 'expired' then 'failed' else j.verdict end,
    reason = case when j.verdict in ('suppressed', 'expired') then j.verdict else r.reason end,
    attempts = case j.verdict when 'sending' then j.number else r.attempts end,
    event_sequence = r.event_sequence + case when j.verdict in ('suppressed', 'expired') then 1 else 0 end
  from judged j where (r.organization_id, r.id) = (j.organization_id, j.id)
),
opened as (
  insert into email_attempts (organization_id, id, message_id, recipient_id, number, worker, lease_until)
  select organization_id, ($5::uuid[])[n], message_id, id, number, $6, now() + $7::interval
  from judged where verdict = 'sending'
)
select j.*, ($5::uuid[])[n] as attempt_id from judged j
"""

_MOVE = """
update email_recipients r set lane = regexp_replace(r.lane, '[^/]*$', t.provider_group), due_at = now(),
  updated_at = now()
from unnest($1::uuid[], $2::uuid[], $3::text[]) as t (organization_id, id, provider_group)
where (r.organization_id, r.id) = (t.organization_id, t.id) and r.due_at is not null and r.lane like 'live/%/other'
  and r.status in ('queued', 'deferred')
"""


@dataclass(frozen=True, slots=True)
class Portion:
    """So many at most from one queue. `lane_id` None: nothing can pause it (test mode)."""

    lane: str
    organization_id: UUID
    most: int
    lane_id: UUID | None = None


async def queues(pool: Pool) -> list[Any]:
    """Queues in which somebody waits: `lane`, `organization_id`, and `wait`, seconds until the first is due."""
    return list(await pool.fetch(_QUEUES))


async def claim(
    connection: Connection,
    portions: Sequence[Portion],
    attempt_ids: Sequence[UUID],
    worker: str,
    lease: timedelta,
    *,
    sort: bool = False,
) -> list[Any]:
    """Claim due recipients, attempt rows included; call it in a transaction, with an attempt id for each at most.

    `verdict` says what became of a row. ``suppressed`` and ``expired`` are finished by the claim; their event is the
    caller's to write, in the same transaction, with `event_sequence` + 1. With `sort`, rows of unknown domains stay
    where they are for five seconds (``unsorted``): look their domain up and `move` them.
    """
    return list(
        await connection.fetch(
            _CLAIM,
            [portion.lane for portion in portions],
            [portion.organization_id for portion in portions],
            [portion.lane_id for portion in portions],
            [portion.most for portion in portions],
            attempt_ids,
            worker,
            lease,
            sort,
        )
    )


async def move(pool: Pool, rows: Sequence[tuple[UUID, UUID, str]]) -> None:
    """(organization, recipient, group) of rows that were ``unsorted``: due at once, in the lane of their group."""
    await pool.execute(_MOVE, *map(list, zip(*rows, strict=True)))
