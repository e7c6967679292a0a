"""SQL of fan-out and delivery, as the `worker` role: it serves all organizations, so every join names the tenant.

Hot: one event may be owed to many endpoints, so rows are written and claimed in bulk on asyncpg.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.http import display_url
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_core.webhook_endpoints.service import CANCELLED
from penguinmails_webhooks.records import Delivery, Key, Outcome

_USE_INDEXES = """
select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', $1, true)"""

_LISTENING = """
select organization_id, id, mode, workspace_id, events, created_at
from webhook_endpoints where organization_id = any($1::uuid[]) and status = 'enabled'"""

# Due a microsecond apart, so that claims keep the order of the events.
_OWE = """
insert into webhook_deliveries
  (organization_id, id, endpoint_id, event_id, event_created_at, event_type, due_at)
select o.organization_id, o.id, o.endpoint_id, o.event_id, o.event_created_at, o.event_type,
  now() - make_interval(secs => ($7 - o.place) / 1000000.0)
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[]) with ordinality
  as o (organization_id, id, endpoint_id, event_id, event_created_at, event_type, place)
on conflict (organization_id, endpoint_id, event_id) do nothing"""

# Jumps from endpoint to endpoint in the index on (organization_id, endpoint_id, due_at): the cost is in the number of
# endpoints that are owed something, not in how much they are owed.
_DUE_ENDPOINTS = """
with recursive heads as (
  (select organization_id, endpoint_id, due_at from webhook_deliveries where due_at is not null
   order by organization_id, endpoint_id, due_at limit 1)
  union all
  select n.organization_id, n.endpoint_id, n.due_at from heads h cross join lateral (
    select d.organization_id, d.endpoint_id, d.due_at from webhook_deliveries d
    where d.due_at is not null and (d.organization_id, d.endpoint_id) > (h.organization_id, h.endpoint_id)
    order by d.organization_id, d.endpoint_id, d.due_at limit 1) n
)
select h.organization_id, h.endpoint_id, extract(epoch from h.due_at - now())::float8 as seconds,
  coalesce(e.status = 'enabled', false) as enabled
from heads h
left join webhook_endpoints e on e.organization_id = h.organization_id and e.id = h.endpoint_id"""

# The order of the event look-up has one meaning: only the primary key gives it. In an empty partition the index on
# (organization_id, xid, id) looks as cheap, and the kept plan would read all of it when the partition is full.
# Whether the endpoint still wants anything is read here, in the claiming statement. The lease is the due time itself:
# whoever dies in the middle leaves a delivery that is due again.
_CLAIM = """
with picked as materialized (
  select d.organization_id, d.id
  from unnest($1::uuid[], $2::uuid[], $3::int[]) as w (organization_id, endpoint_id, slots)
  join webhook_endpoints e
    on e.organization_id = w.organization_id and e.id = w.endpoint_id and e.status = 'enabled'
  cross join lateral (
    select q.organization_id, q.id from webhook_deliveries q
    where q.organization_id = w.organization_id and q.endpoint_id = w.endpoint_id
      and q.due_at is not null and q.due_at <= coalesce($6, now())
    order by q.due_at limit w.slots for update skip locked) d
), claimed as (
  update webhook_deliveries d set due_at = now() + $4::interval, attempts = d.attempts + 1
  from picked p where d.organization_id = p.organization_id and d.id = p.id
  returning d.organization_id, d.id, d.endpoint_id, d.event_id, d.event_created_at, d.attempts
)
select c.organization_id, c.id as delivery_id, c.endpoint_id, c.event_id, c.attempts as number,
  e.url, e.secret, case when e.previous_secret_expires_at > now() then e.previous_secret end as previous_secret,
  coalesce(e.failing_since <= now() - $5::interval, false) as failed_too_long,
  v.id, v.created_at, v.workspace_id, v.mode, v.type, v.sequence, v.schema_version, v.payload
from claimed c
join webhook_endpoints e on e.organization_id = c.organization_id and e.id = c.endpoint_id
left join lateral (
  select v.id, v.created_at, v.workspace_id, v.mode, v.type, v.sequence, v.schema_version, v.payload::text as payload
  from events v
  where v.organization_id = c.organization_id and v.id = c.event_id
    and v.created_at >= c.event_created_at and v.created_at <= c.event_created_at
  order by v.created_at limit 1) v on true"""

# A failure counts for the attempt that is the delivery's last one: a worker that lost its lease must not undo what the
# next one did. A success always counts.
_RECORD = """
with r as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::timestamptz[], $7::int[],
    $8::smallint[], $9::text[], $10::text[], $11::text[], $12::float8[], $13::boolean[])
  as r (organization_id, delivery_id, endpoint_id, attempt_id, number, started_at, duration_ms,
    status_code, error, response_body, status, wait, unwell)
), attempts as (
  insert into webhook_attempts (organization_id, id, delivery_id, endpoint_id, number, started_at, duration_ms,
    status_code, error, response_body)
  select organization_id, attempt_id, delivery_id, endpoint_id, number, started_at, duration_ms,
    status_code, error, response_body from r
  on conflict do nothing
), recovered as (
  update webhook_endpoints e set failing_since = null
  from (select distinct organization_id, endpoint_id from r where status = 'delivered') s
  where e.organization_id = s.organization_id and e.id = s.endpoint_id and e.failing_since is not null
), failing as (
  update webhook_endpoints e set failing_since = s.since
  from (select organization_id, endpoint_id, min(started_at) as since from r
        group by organization_id, endpoint_id having bool_and(unwell)) s
  where e.organization_id = s.organization_id and e.id = s.endpoint_id and e.failing_since is null
)
update webhook_deliveries d
set status = r.status, due_at = now() + make_interval(secs => r.wait), last_status_code = r.status_code,
  last_error = r.error, delivered_at = case when r.status = 'delivered' then now() else d.delivered_at end
from r
where d.organization_id = r.organization_id and d.id = r.delivery_id
  and (d.status = 'pending' and d.attempts = r.number
    or r.status = 'delivered' and d.status in ('pending', 'exhausted', 'cancelled'))"""

_DISABLE = """
update webhook_endpoints
set status = 'disabled', disabled_reason = $3, event_sequence = event_sequence + 1, updated_at = now()
where organization_id = $1 and id = $2 and status = 'enabled' and url = $4
  and ($3 = 'gone' or failing_since <= now() - $5::interval)
returning workspace_id, mode, event_sequence, failing_since"""

_CANCEL = """
update webhook_deliveries d set status = 'cancelled', due_at = null, last_error = $3
where d.organization_id = $1 and d.endpoint_id = $2 and d.due_at is not null
  and not exists (select from webhook_endpoints e
                  where e.organization_id = $1 and e.id = $2 and e.status = 'enabled')"""

_EVENT = """
insert into events (organization_id, workspace_id, id, type, mode, resource_id, sequence, payload)
values ($1, $2, $3, $4, $5, $6, $7, $8)"""


async def use_indexes(connection: Connection, *, keep_plans: bool) -> None:
    """For this transaction: rows are looked up one by one.

    Plans that are made over nearly empty tables read them as a whole, and if they are kept they still do so when the
    tables are full, until the next `analyze`: on a fresh installation that is the first rush. So plans are kept
    only when the tables are known to be large; making them anew costs about 0.7 ms in each transaction.
    """
    await connection.execute(_USE_INDEXES, "auto" if keep_plans else "force_custom_plan")


async def listening(connection: Connection, organizations: Iterable[UUID]) -> list[Any]:
    """The enabled endpoints of these organizations."""
    return list(await connection.fetch(_LISTENING, list(organizations)))


async def owe(connection: Connection, owed: Sequence[tuple[UUID, UUID, Any]]) -> int:
    """Make deliveries of (organization, endpoint, event row) and return how many are new."""
    tag: str = await connection.execute(
        _OWE,
        [organization for organization, _, _ in owed],
        [new_uuid() for _ in owed],
        [endpoint for _, endpoint, _ in owed],
        [event["id"] for _, _, event in owed],
        [event["created_at"] for _, _, event in owed],
        [event["type"] for _, _, event in owed],
        len(owed),
    )
    return int(tag.rpartition(" ")[2])


async def due_endpoints(connection: Connection) -> list[Any]:
    """Each endpoint that is owed something, with the seconds until its first delivery is due (negative: overdue)."""
    return list(await connection.fetch(_DUE_ENDPOINTS))


async def claim(
    connection: Connection,
    picks: Sequence[tuple[Key, int]],
    lease: timedelta,
    disable_after: timedelta,
    due_before: Any = None,
) -> list[Delivery]:
    """Take up to so many due deliveries of each endpoint; they are due again when the lease is over."""
    rows = await connection.fetch(
        _CLAIM,
        [key[0] for key, _ in picks],
        [key[1] for key, _ in picks],
        [slots for _, slots in picks],
        lease,
        disable_after,
        due_before,
    )
    return [
        Delivery(
            key=(row["organization_id"], row["endpoint_id"]),
            id=row["delivery_id"],
            event_id=row["event_id"],
            number=row["number"],
            url=row["url"],
            secret=row["secret"],
            previous_secret=row["previous_secret"],
            failed_too_long=row["failed_too_long"],
            event=row if row["id"] is not None else None,
        )
        for row in rows
    ]


async def record(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Write attempts and what became of their deliveries. Written twice it changes nothing more, so a commit whose
    answer was lost can be repeated. A delivery occurs at most once in `outcomes`."""
    await connection.execute(
        _RECORD,
        [outcome.delivery.key[0] for outcome in outcomes],
        [outcome.delivery.id for outcome in outcomes],
        [outcome.delivery.key[1] for outcome in outcomes],
        [outcome.attempt_id for outcome in outcomes],
        [outcome.delivery.number for outcome in outcomes],
        [outcome.started_at for outcome in outcomes],
        [outcome.duration_ms for outcome in outcomes],
        [outcome.status_code for outcome in outcomes],
        [outcome.error for outcome in outcomes],
        [outcome.response_body for outcome in outcomes],
        [outcome.status for outcome in outcomes],
        [outcome.wait for outcome in outcomes],
        [outcome.unwell for outcome in outcomes],
    )


async def disable(
    connection: Connection, key: Key, reason: str, url: str, status_code: int | None, disable_after: timedelta
) -> bool:
    """Disable an endpoint that still has this URL, with its event, and cancel what it is owed. False when it was
    changed, disabled or well again in the meantime."""
    organization_id, endpoint_id = key
    row = await connection.fetchrow(_DISABLE, organization_id, endpoint_id, reason, url, disable_after)
    if row is None:
        return False
    since = row["failing_since"]
    payload = {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, endpoint_id),
        "url": display_url(url),
        "reason": reason,
        "failing_since": rfc3339(since) if since else None,
        "last_status_code": status_code,
    }
    await connection.execute(
        _EVENT,
        organization_id,
        row["workspace_id"],
        new_uuid(),
        EventType.WEBHOOK_ENDPOINT_DISABLED.value,
        row["mode"],
        endpoint_id,
        row["event_sequence"],
        payload,
    )
    await cancel(connection, key)
    return True


async def cancel(connection: Connection, key: Key) -> int:
    """Cancel what is owed to an endpoint that is disabled or gone; returns how many deliveries that were."""
    tag: str = await connection.execute(_CANCEL, *key, CANCELLED)
    return int(tag.rpartition(" ")[2])
