"""SQL of what became of requests: attempts, deliveries, the condition of endpoints, and the events that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.http import display_url
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.models.webhook import HELD
from penguinmails_webhooks import repository
from penguinmails_webhooks.policy import Condition
from penguinmails_webhooks.records import Key, Outcome

ACTOR = "webhook engine"

# Those that fail, keep an order or have to be told of, and of the others those that have failed before. In one order,
# so that workers never wait for each other in a circle.
_CONDITIONS = """
select e.organization_id, e.id, e.failing_since, e.failing_confirmed_at, e.consecutive_failures, e.breaker,
  e.breaker_openings
from unnest($1::uuid[], $2::uuid[], $3::boolean[]) as r (organization_id, endpoint_id, wanted)
join webhook_endpoints e on e.organization_id = r.organization_id and e.id = r.endpoint_id
where r.wanted or e.failing_since is not null or e.breaker <> 'closed' or e.consecutive_failures > 0
order by e.organization_id, e.id
for update of e"""

_SET_CONDITIONS = """
update webhook_endpoints e
set failing_since = c.failing_since, failing_confirmed_at = c.confirmed_at, consecutive_failures = c.failures,
  breaker = c.breaker, breaker_openings = c.openings,
  breaker_until = case when c.breaker = 'closed' then null
    when c.breaker_in is null then e.breaker_until else now() + make_interval(secs => c.breaker_in) end
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::text[], $7::smallint[],
    $8::float8[])
  as c (organization_id, endpoint_id, failing_since, confirmed_at, failures, breaker, openings, breaker_in)
where e.organization_id = c.organization_id and e.id = c.endpoint_id"""

# A failure counts for the attempt that is the delivery's last one: a worker that lost its lease must not undo what the
# next one did. A success always counts. Only what has been given up is told to the caller.
_RECORD = """
with r as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::timestamptz[], $7::int[],
    $8::smallint[], $9::text[], $10::text[], $11::text[], $12::float8[], $13::boolean[], $14::text[])
  as r (organization_id, delivery_id, endpoint_id, attempt_id, number, started_at, duration_ms,
    status_code, error, response_body, status, wait, given_up, detail)
), attempts as (
  insert into webhook_attempts (organization_id, id, delivery_id, endpoint_id, number, started_at, duration_ms,
    status_code, error, response_body, detail)
  select organization_id, attempt_id, delivery_id, endpoint_id, number, started_at, duration_ms,
    status_code, error, response_body, detail::jsonb from r
  on conflict do nothing
), written as (
  update webhook_deliveries d
  set status = r.status, due_at = now() + make_interval(secs => r.wait), last_status_code = r.status_code,
    last_error = r.error, delivered_at = case when r.status = 'delivered' then now() else d.delivered_at end,
    leased = false
  from r
  where d.organization_id = r.organization_id and d.id = r.delivery_id
    and (d.status = 'pending' and d.attempts = r.number
      or r.status = 'delivered' and d.status in ('pending', 'exhausted', 'cancelled'))
  returning d.id, r.given_up
)
select id from written where given_up"""

# A statement of its own: it must see what fan-out has added before the endpoint was locked.
_RELEASE_NEXT = """
update webhook_deliveries d set due_at = d.created_at
from unnest($1::uuid[], $2::uuid[], $3::text[]) as k (organization_id, endpoint_id, fifo_key)
cross join lateral (
  select n.organization_id, n.id, n.due_at from webhook_deliveries n
  where n.organization_id = k.organization_id and n.endpoint_id = k.endpoint_id and n.fifo_key = k.fifo_key
    and n.due_at is not null
  order by n.fifo_position limit 1) h
where h.due_at >= $4 and d.organization_id = h.organization_id and d.id = h.id"""

_DISABLE = """
update webhook_endpoints
set status = 'disabled', disabled_reason = $3, disabled_at = now(), updated_at = now(), notice = 'disabled',
  probes = 0, probe_at = case when $3 = 'failing' then now() + $6::interval end, throttled_since = null,
  event_sequence = event_sequence + 1
where organization_id = $1 and id = $2 and status = 'enabled' and url = $4
  and ($3 = 'gone' or failing_since <= now() - $5::interval and failing_confirmed_at is not null)
returning workspace_id, mode, event_sequence, failing_since"""

_SEQUENCE = """
update webhook_endpoints set event_sequence = event_sequence + $3 where organization_id = $1 and id = $2
returning workspace_id, mode, event_sequence"""


@dataclass(frozen=True, slots=True)
class Told:
    """What an event of an endpoint is written with."""

    key: Key
    workspace_id: UUID | None
    mode: str
    sequence: int


async def conditions(connection: Connection, wanted: dict[Key, bool]) -> dict[Key, Condition]:
    """Of those that are `wanted` or have failed before, locked until the transaction ends."""
    rows = await connection.fetch(
        _CONDITIONS, [key[0] for key in wanted], [key[1] for key in wanted], list(wanted.values())
    )
    return {
        (row["organization_id"], row["id"]): Condition(
            key=(row["organization_id"], row["id"]),
            failing_since=row["failing_since"],
            confirmed_at=row["failing_confirmed_at"],
            failures=row["consecutive_failures"],
            breaker=row["breaker"],
            openings=row["breaker_openings"],
        )
        for row in rows
    }


async def set_conditions(connection: Connection, changed: Sequence[Condition]) -> None:
    await connection.execute(
        _SET_CONDITIONS,
        [item.key[0] for item in changed],
        [item.key[1] for item in changed],
        [item.failing_since for item in changed],
        [item.confirmed_at for item in changed],
        [item.failures for item in changed],
        [item.breaker for item in changed],
        [item.openings for item in changed],
        [item.breaker_in for item in changed],
    )


async def record(connection: Connection, outcomes: Sequence[Outcome]) -> set[UUID]:
    """Write attempts and what became of their deliveries; returns the deliveries that are now given up. Written twice
    it changes nothing more, so a commit whose answer was lost can be repeated. A delivery occurs at most once."""
    rows = await connection.fetch(
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
        [outcome.given_up for outcome in outcomes],
        [outcome.detail for outcome in outcomes],
    )
    return {row["id"] for row in rows}


async def release_next(connection: Connection, keys: Sequence[tuple[Key, str]]) -> None:
    """Make the next delivery of each (endpoint, key) due."""
    await connection.execute(
        _RELEASE_NEXT, [key[0] for key, _ in keys], [key[1] for key, _ in keys], [name for _, name in keys], HELD
    )


async def tell(connection: Connection, event: EventType, told: Told, payload: dict[str, Any]) -> UUID:
    """Write an event of an endpoint; returns its id."""
    return await events.add_on(
        connection,
        organization_id=told.key[0],
        workspace_id=told.workspace_id,
        mode=told.mode,
        event=event,
        resource_id=told.key[1],
        sequence=told.sequence,
        payload=payload,
    )


async def tell_exhausted(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """`message.attempt.exhausted` for each of them."""
    by_endpoint: dict[Key, list[Outcome]] = {}
    for outcome in outcomes:
        by_endpoint.setdefault(outcome.delivery.key, []).append(outcome)
    for key, group in by_endpoint.items():
        row = await connection.fetchrow(_SEQUENCE, *key, len(group))
        if row is None:
            continue
        first = row["event_sequence"] - len(group) + 1
        for number, outcome in enumerate(group):
            told = Told(key, row["workspace_id"], row["mode"], first + number)
            payload = {
                "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, key[1]),
                "delivery_id": encode(Prefix.WEBHOOK_DELIVERY, outcome.delivery.id),
                "event_id": encode(Prefix.EVENT, outcome.delivery.event_id),
                "type": outcome.delivery.event_type,
                "attempts": outcome.delivery.number,
                "last_status_code": outcome.status_code,
                "last_error": outcome.error,
            }
            await tell(connection, EventType.MESSAGE_ATTEMPT_EXHAUSTED, told, payload)


async def disable(
    connection: Connection, outcome: Outcome, disable_after: timedelta, probe_after: timedelta | None
) -> bool:
    """Disable an endpoint that still has this URL, with its event and an entry in the audit log, and cancel what it is
    owed. False when it was changed, disabled or well again in the meantime."""
    key, url, reason = outcome.delivery.key, outcome.delivery.url, outcome.disable
    row = await connection.fetchrow(_DISABLE, *key, reason, url, disable_after, probe_after)
    if row is None:
        return False
    since = row["failing_since"]
    told = Told(key, row["workspace_id"], row["mode"], row["event_sequence"])
    payload = {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, key[1]),
        "url": display_url(url),
        "reason": reason,
        "failing_since": rfc3339(since) if since else None,
        "last_status_code": outcome.status_code,
    }
    await tell(connection, EventType.WEBHOOK_ENDPOINT_DISABLED, told, payload)
    await repository.cancel(connection, key)
    await note(connection, told, "disabled", {"status": "enabled"}, {"status": "disabled", "disabled_reason": reason})
    return True


async def note(connection: Connection, told: Told, verb: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """An entry in the audit log: the engine did it."""
    resource = Resource(Prefix.WEBHOOK_ENDPOINT, told.key[1], told.workspace_id)
    actor = Actor.system(told.key[0], ACTOR)
    await audit.record_on(connection, actor, f"webhook_endpoint.{verb}", resource, before, after)
