"""SQL of fan-out and claims, as the `worker` role: it serves all organizations, so every join names the tenant.

Hot: one event may be owed to many endpoints, so rows are written and claimed in bulk on asyncpg.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models.webhook import HELD
from penguinmails_core.webhook_endpoints.service import CANCELLED
from penguinmails_webhooks.policy import Gate
from penguinmails_webhooks.records import Delivery, Key
from penguinmails_webhooks.request_sql import REQUEST

# What a request is made with, of `webhook_endpoints e`.
ENDPOINT_COLUMNS = f"e.url, e.secret, {REQUEST} as request"

# Nothing waits for the disk here. When the database server crashes, the last moments of claims and outcomes may be
# gone, all of a transaction or nothing: what was received then comes once more, with the same id, as after any lost
# answer.
_USE_INDEXES = """
select set_config('synchronous_commit', 'off', true), set_config('enable_seqscan', 'off', true),
  set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
  set_config('plan_cache_mode', $1, true)"""

_LISTENING = """
select organization_id, id, mode, workspace_id, events, created_at, updated_at, fifo,
  filter::text as filter,
  (throttle_limit is not null or concurrency is not null or breaker <> 'closed') as gated
from webhook_endpoints where organization_id = any($1::uuid[]) and status = 'enabled'"""

# Due a microsecond apart, so that claims keep the order of the events. Whoever has to keep an order is due only when
# nothing before it with the same key is owed; the caller has locked the endpoint, so nothing ends meanwhile.
_OWE = """
insert into webhook_deliveries
  (organization_id, id, endpoint_id, event_id, event_created_at, event_type, fifo_key, fifo_position, due_at)
select o.organization_id, o.id, o.endpoint_id, o.event_id, o.event_created_at, o.event_type, o.fifo_key,
  o.fifo_position,
  case when o.behind or o.fifo_key is not null and exists (
      select from webhook_deliveries d where d.organization_id = o.organization_id and d.endpoint_id = o.endpoint_id
        and d.fifo_key = o.fifo_key and d.fifo_position < o.fifo_position and d.due_at is not null)
    then $8::timestamptz else now() - make_interval(secs => ($7 - o.place) / 1000000.0) end
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $9::text[], $10::bigint[],
    $11::boolean[]) with ordinality
  as o (organization_id, id, endpoint_id, event_id, event_created_at, event_type, fifo_key, fifo_position, behind,
    place)
on conflict (organization_id, endpoint_id, event_id) do nothing"""

# The lock that comes with it orders fan-out and the end of deliveries, which makes the next one of a key due.
_TAKE_POSITIONS = """
update webhook_endpoints set fifo_position = fifo_position + $3 where organization_id = $1 and id = $2
returning fifo_position - $3"""

_EVENT_KEYS = """
select organization_id, id, payload ->> $4 as key from events
where (organization_id, id, created_at) in (
  select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]))"""

# The first unread events of every organization that listens. Of the last quarter of an hour: what is older has waited
# for so long that its turn in the log comes first.
_UNREAD = """
select v.*
from (select distinct organization_id from webhook_endpoints where status = 'enabled') o
left join unnest($2::uuid[], $3::text[], $4::uuid[]) as p (organization_id, xid, id)
  on p.organization_id = o.organization_id
cross join lateral (
  select e.organization_id, e.id, e.created_at, e.workspace_id, e.mode, e.type, e.resource_id, e.sequence,
    e.xid::text as xid_text
  from events e
  where e.organization_id = o.organization_id and e.created_at > now() - interval '15 minutes'
    and e.xid >= (select pg_snapshot_xmin(old) from consumer_cursors where consumer = $1)
    and (e.xid, e.id) > (coalesce(p.xid, '0')::xid8, coalesce(p.id, '00000000-0000-0000-0000-000000000000'))
    and not pg_visible_in_snapshot(e.xid, (select old from consumer_cursors where consumer = $1))
  order by e.xid, e.id limit $5) v"""

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
select h.organization_id, h.endpoint_id,
  extract(epoch from greatest(h.due_at, e.breaker_until, e.throttle_at) - now())::float8 as seconds,
  coalesce(e.status = 'enabled', false) as enabled, h.due_at >= $1 as stuck,
  coalesce(e.throttle_limit is not null or e.concurrency is not null or e.breaker <> 'closed', false) as gated
from heads h
left join webhook_endpoints e on e.organization_id = h.organization_id and e.id = h.endpoint_id"""

# The order of the event look-up has one meaning: only the primary key gives it. In an empty partition the index on
# (organization_id, xid, id) looks as cheap, and the kept plan would read all of it when the partition is full.
# Whether the endpoint still wants anything is read here, in the claiming statement. The lease is the due time itself:
# whoever dies in the middle leaves a delivery that is due again.
#
# Of a key in order only the head may go: what has become due behind another one, by being sent again, is put back.
_CLAIM = f"""
with picked as materialized (
  select d.organization_id, d.id, d.due_at, w.gated, e.throttled_since, d.behind
  from unnest($1::uuid[], $2::uuid[], $3::int[], $7::boolean[]) as w (organization_id, endpoint_id, slots, gated)
  join webhook_endpoints e
    on e.organization_id = w.organization_id and e.id = w.endpoint_id and e.status = 'enabled'
    and (w.gated or e.throttle_limit is null and e.concurrency is null and e.breaker = 'closed')
  cross join lateral (
    select q.organization_id, q.id, q.due_at, q.fifo_key is not null and exists (
        select from webhook_deliveries b
        where b.organization_id = q.organization_id and b.endpoint_id = q.endpoint_id and b.fifo_key = q.fifo_key
          and b.fifo_position < q.fifo_position and b.due_at is not null) as behind
    from webhook_deliveries q
    where q.organization_id = w.organization_id and q.endpoint_id = w.endpoint_id
      and q.due_at is not null and q.due_at <= coalesce($6, now())
    order by q.due_at limit w.slots for update skip locked) d
), put_back as (
  update webhook_deliveries d set due_at = $8
  from picked p where p.behind and d.organization_id = p.organization_id and d.id = p.id
  returning d.organization_id, d.endpoint_id, p.due_at
), claimed as (
  update webhook_deliveries d
  set due_at = now() + $4::interval, attempts = d.attempts + 1, leased = p.gated,
    throttled_ms = case when p.throttled_since is null then d.throttled_ms else least(2000000000, d.throttled_ms
      + greatest(extract(epoch from now() - greatest(p.due_at, p.throttled_since)) * 1000, 0))::int end
  from picked p where not p.behind and d.organization_id = p.organization_id and d.id = p.id
  returning d.organization_id, d.id, d.endpoint_id, d.event_id, d.event_created_at, d.attempts, d.event_type,
    d.fifo_key, p.gated, p.due_at
)
select c.organization_id, c.id as delivery_id, c.endpoint_id, c.event_id, c.event_type, c.attempts as number,
  c.fifo_key, c.gated, {ENDPOINT_COLUMNS},
  coalesce(e.failing_since <= now() - $5::interval and e.failing_confirmed_at is not null, false) as failed_too_long,
  v.id, v.created_at, v.workspace_id, v.mode, v.type, v.resource_id, v.sequence, v.schema_version, v.payload, c.due_at
from claimed c
join webhook_endpoints e on e.organization_id = c.organization_id and e.id = c.endpoint_id
left join lateral (
  select v.id, v.created_at, v.workspace_id, v.mode, v.type, v.resource_id, v.sequence, v.schema_version,
    v.payload::text as payload
  from events v
  where v.organization_id = c.organization_id and v.id = c.event_id
    and v.created_at >= c.event_created_at and v.created_at <= c.event_created_at
  order by v.created_at limit 1) v on true
union all
select organization_id, null, endpoint_id, null, null, null, null, null, null, null, null, null, null, null, null, null,
  null, null, null, null, null, due_at
from put_back"""

# Whoever else serves one of them at this moment has it for now.
_GATES = """
with locked as materialized (
  select e.organization_id, e.id, e.throttle_limit, e.throttle_period, e.throttle_at, e.concurrency, e.breaker,
    e.breaker_until, w.slots
  from unnest($1::uuid[], $2::uuid[], $3::int[]) as w (organization_id, endpoint_id, slots)
  join webhook_endpoints e on e.organization_id = w.organization_id and e.id = w.endpoint_id and e.status = 'enabled'
  for update of e skip locked
)
select l.organization_id, l.id, l.throttle_limit, l.throttle_period, l.concurrency, l.breaker,
  coalesce(extract(epoch from l.throttle_at - now()), 0)::float8 as throttle_in,
  coalesce(extract(epoch from l.breaker_until - now()), 0)::float8 as breaker_in,
  case when l.concurrency is null then 0 else (
    select count(*) from webhook_deliveries f where f.organization_id = l.organization_id and f.endpoint_id = l.id
      and f.leased and f.due_at > now()) end::int as in_flight,
  (select count(*) from (
    select from webhook_deliveries q where q.organization_id = l.organization_id and q.endpoint_id = l.id
      and q.due_at is not null and q.due_at <= coalesce($4, now()) limit l.slots + 1) d)::int as due
from locked l"""

_GO_THROUGH = """
update webhook_endpoints e
set throttle_at = case when p.throttle_in is null then e.throttle_at
    else now() + make_interval(secs => p.throttle_in) end,
  throttled_since = case when p.held_back then coalesce(e.throttled_since, now()) end,
  breaker = case when p.trying then 'half_open' else e.breaker end,
  breaker_until = case when p.trying then now() + $6::interval else e.breaker_until end
from unnest($1::uuid[], $2::uuid[], $3::float8[], $4::boolean[], $5::boolean[])
  as p (organization_id, endpoint_id, throttle_in, held_back, trying)
where e.organization_id = p.organization_id and e.id = p.endpoint_id"""

# Keys of which everything waits, since what they waited for is gone: swept, or cancelled by hand.
_RELEASE = """
update webhook_deliveries d set due_at = d.created_at
from (select distinct on (fifo_key) id from webhook_deliveries
      where organization_id = $1 and endpoint_id = $2 and fifo_key is not null and due_at is not null
      order by fifo_key, fifo_position) h
where d.organization_id = $1 and d.id = h.id and d.due_at >= $3"""

_CANCEL = """
update webhook_deliveries d set status = 'cancelled', due_at = null, last_error = $3
where d.organization_id = $1 and d.endpoint_id = $2 and d.due_at is not null
  and not exists (select from webhook_endpoints e
                  where e.organization_id = $1 and e.id = $2 and e.status = 'enabled')"""


@dataclass(frozen=True, slots=True)
class Passed:
    """What a gated endpoint made of its grant. `throttle_in`: seconds until its next free slot."""

    key: Key
    throttle_in: float | None
    held_back: bool
    trying: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the log: transaction id, event id."""

    xid: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery to make. `behind`: another of this statement with the same key comes before it."""

    organization_id: UUID
    endpoint_id: UUID
    event: Any
    fifo_key: str | None = None
    fifo_position: int | None = None
    behind: bool = False


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


async def unread(connection: Connection, consumer: str, after: Mapping[UUID, Place], limit: int) -> list[Any]:
    """Up to `limit` events of each organization that listens and that `consumer` has not read, those of one in the
    order of the log, after the place where the last look at it ended."""
    places = list(after.items())
    return list(
        await connection.fetch(
            _UNREAD,
            consumer,
            [organization for organization, _ in places],
            [place.xid for _, place in places],
            [place.id for _, place in places],
            limit,
        )
    )


async def take_positions(connection: Connection, key: Key, count: int) -> int:
    """The first of so many places in the order of an endpoint. Nobody else adds to it or ends anything of it until the
    transaction does."""
    first: int | None = await connection.fetchval(_TAKE_POSITIONS, *key, count)
    return first or 0  # the endpoint may have been deleted a moment ago


async def event_keys(connection: Connection, events: Sequence[Any], member: str) -> Mapping[UUID, str]:
    """Event id -> what its payload has as `member`; without those that have none."""
    rows = await connection.fetch(
        _EVENT_KEYS,
        [event["organization_id"] for event in events],
        [event["id"] for event in events],
        [event["created_at"] for event in events],
        member,
    )
    return {row["id"]: row["key"] for row in rows if row["key"] is not None}


async def owe(connection: Connection, owed: Sequence[Owed]) -> int:
    """Make deliveries and return how many are new."""
    tag: str = await connection.execute(
        _OWE,
        [item.organization_id for item in owed],
        [new_uuid() for _ in owed],
        [item.endpoint_id for item in owed],
        [item.event["id"] for item in owed],
        [item.event["created_at"] for item in owed],
        [item.event["type"] for item in owed],
        len(owed),
        HELD,
        [item.fifo_key for item in owed],
        [item.fifo_position for item in owed],
        [item.behind for item in owed],
    )
    return int(tag.rpartition(" ")[2])


async def due_endpoints(connection: Connection) -> list[Any]:
    """Each endpoint that is owed something, with the seconds until its first delivery is due (negative: overdue)."""
    return list(await connection.fetch(_DUE_ENDPOINTS, HELD))


async def release(connection: Connection, key: Key) -> None:
    """Make the first of every key due."""
    await connection.execute(_RELEASE, *key, HELD)


async def gates(connection: Connection, picks: Sequence[tuple[Key, int]], due_before: Any = None) -> list[Gate]:
    """The state of gated endpoints, locked until the transaction ends; without those that another worker has."""
    rows = await connection.fetch(
        _GATES, [key[0] for key, _ in picks], [key[1] for key, _ in picks], [slots for _, slots in picks], due_before
    )
    return [
        Gate(
            key=(row["organization_id"], row["id"]),
            throttle_limit=row["throttle_limit"],
            throttle_period=row["throttle_period"],
            throttle_in=row["throttle_in"],
            concurrency=row["concurrency"],
            in_flight=row["in_flight"],
            breaker=row["breaker"],
            breaker_in=row["breaker_in"],
            due=row["due"],
        )
        for row in rows
    ]


async def pass_gates(connection: Connection, passed: Sequence[Passed], trial: timedelta) -> None:
    """Write down what was used. `trial`: how long the request that tries a circuit may take."""
    await connection.execute(
        _GO_THROUGH,
        [item.key[0] for item in passed],
        [item.key[1] for item in passed],
        [item.throttle_in for item in passed],
        [item.held_back for item in passed],
        [item.trying for item in passed],
        trial,
    )


async def claim(
    connection: Connection,
    picks: Sequence[tuple[Key, int]],
    lease: timedelta,
    disable_after: timedelta,
    due_before: Any = None,
    *,
    gated: bool = False,
) -> tuple[list[Delivery], set[Key]]:
    """Take up to so many due deliveries of each endpoint, the first due first; they are due again when the lease is
    over. Without `gated` nothing is taken of an endpoint that has limits. Also returns the endpoints of which something
    was found that has to wait behind another one, so that more may be due than was taken."""
    rows = await connection.fetch(
        _CLAIM,
        [key[0] for key, _ in picks],
        [key[1] for key, _ in picks],
        [slots for _, slots in picks],
        lease,
        disable_after,
        due_before,
        [gated] * len(picks),
        HELD,
    )
    rows.sort(key=lambda row: row["due_at"])
    put_back = {(row["organization_id"], row["endpoint_id"]) for row in rows if row["delivery_id"] is None}
    deliveries = [
        Delivery(
            key=(row["organization_id"], row["endpoint_id"]),
            id=row["delivery_id"],
            event_id=row["event_id"],
            event_type=row["event_type"],
            number=row["number"],
            url=row["url"],
            secret=row["secret"],
            request=row["request"],
            failed_too_long=row["failed_too_long"],
            event=row if row["id"] is not None else None,
            fifo_key=row["fifo_key"],
            gated=row["gated"],
        )
        for row in rows
        if row["delivery_id"] is not None
    ]
    return deliveries, put_back


async def cancel(connection: Connection, key: Key) -> int:
    """Cancel what is owed to an endpoint that is disabled or gone; returns how many deliveries that were."""
    tag: str = await connection.execute(_CANCEL, *key, CANCELLED)
    return int(tag.rpartition(" ")[2])
