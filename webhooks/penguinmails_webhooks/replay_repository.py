"""SQL of replays, as the `worker` role: a page of the log at a time, and what is owed because of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models.webhook import HELD

_ACTIVE = """
select organization_id, id from webhook_replays where status in ('queued', 'running') order by created_at limit $1"""

# Whoever has the row works on this replay for now; the others find another one.
_LOCK = """
select organization_id, id, endpoint_id, workspace_id, mode, selection, event_id, types, since, until, status,
  scan_ended, cursor_xid::text as cursor_xid, cursor_id, until_xid::text as until_xid,
  least(until_xid, pg_snapshot_xmin(pg_current_snapshot()))::text as readable,
  pg_snapshot_xmin(pg_current_snapshot()) >= until_xid as settled
from webhook_replays where organization_id = $1 and id = $2 and status in ('queued', 'running')
for update skip locked"""

_ENDPOINT = """
select organization_id, id, status, mode, workspace_id, events, fifo, updated_at, filter::text as filter
from webhook_endpoints
where organization_id = $1 and id = $2"""

_IN_RANGE = (
    """
from events
where organization_id = $1 and mode = $2 and ($3::uuid is null or workspace_id = $3)
  and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at <= $5)
  and xid < $6::text::xid8 and type <> '"""
    + EventType.WEBHOOK_TEST.value
    + "'"
)

_TOTAL = "select count(*)::int " + _IN_RANGE

_EVENT = """organization_id, id, created_at, type, resource_id, sequence, xid::text as xid,
  payload ->> 'email_id' as email_id, payload ->> 'contact_id' as contact_id"""

_PAGE = f"""
select {_EVENT} {_IN_RANGE} and (xid, id) > ($7::text::xid8, $8::uuid)
order by events.xid, events.id limit $9"""

_ONE = f"select {_EVENT} from events where organization_id = $1 and id = $2 and mode = $3"

# A retry that waits has the attempt before it on record; without one it is under way, and comes back by itself. So is
# what the engine has locked at this moment: nobody waits for it here while holding others.
_STATES = """
with locked as materialized (
  select d.event_id, d.status, d.due_at is not null and (d.due_at <= now() or d.due_at >= $4 or not exists (
      select from webhook_attempts a
      where a.organization_id = d.organization_id and a.delivery_id = d.id and a.number = d.attempts)) as under_way
  from webhook_deliveries d where d.organization_id = $1 and d.endpoint_id = $2 and d.event_id = any($3::uuid[])
  for update of d skip locked
)
select d.event_id, l.status, coalesce(l.under_way, true) as under_way
from webhook_deliveries d left join locked l on l.event_id = d.event_id
where d.organization_id = $1 and d.endpoint_id = $2 and d.event_id = any($3::uuid[])"""

# Not claimed yet, or claimed and not answered. What waits for its next retry is the engine's again.
_OUTSTANDING = """
select count(*)::int from (
  select from webhook_deliveries d
  where d.organization_id = $1 and d.replay_id = $2 and d.due_at is not null
    and (d.due_at <= now() or d.due_at >= $4 or not exists (
      select from webhook_attempts a
      where a.organization_id = d.organization_id and a.delivery_id = d.id and a.number = d.attempts))
  limit $3) o"""

# Due a microsecond apart, so that claims keep the order of the events.
_AGAIN = """
update webhook_deliveries d
set status = 'pending', replay_id = $3, due_at = now() - make_interval(secs => o.ahead / 1000000.0)
from unnest($4::uuid[], $5::int[]) as o (event_id, ahead)
where d.organization_id = $1 and d.endpoint_id = $2 and d.event_id = o.event_id"""

_NEW = """
insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, event_type, replay_id,
  fifo_key, fifo_position, due_at)
select $1, o.id, $2, o.event_id, o.event_created_at, o.event_type, $3, o.fifo_key, o.fifo_position,
  now() - make_interval(secs => o.ahead / 1000000.0)
from unnest($4::int[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::text[], $9::text[], $10::bigint[])
  as o (ahead, id, event_id, event_created_at, event_type, fifo_key, fifo_position)
on conflict (organization_id, endpoint_id, event_id) do nothing"""

# The lock that comes with it keeps fan-out from handing out the same places.
_TAKE_POSITIONS = """
update webhook_endpoints set fifo_position = fifo_position + $3 where organization_id = $1 and id = $2
returning fifo_position - $3"""

_START = """
update webhook_replays set status = 'running', started_at = now(), total = $3 where organization_id = $1 and id = $2"""

_MOVE = """
update webhook_replays set scanned = scanned + $3, created = created + $4, resent = resent + $5,
  cursor_xid = coalesce($6::text::xid8, cursor_xid), cursor_id = coalesce($7, cursor_id), scan_ended = $8
where organization_id = $1 and id = $2"""

_FINISH = """
update webhook_replays set status = $3, reason = $4, finished_at = now() where organization_id = $1 and id = $2"""


@dataclass(frozen=True, slots=True)
class Due:
    """An event to be sent. `ahead`: how many of the same step come after it. The rest is of deliveries that did not
    exist: their place in the order of their key, where the endpoint keeps one."""

    event: Any
    ahead: int
    fifo_key: str | None = None
    fifo_position: int | None = None


async def active(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """(organization, replay) of those that have not ended, the oldest first."""
    return [(row["organization_id"], row["id"]) for row in await connection.fetch(_ACTIVE, limit)]


async def lock(connection: Connection, organization_id: UUID, replay_id: UUID) -> Any:
    """The replay, until the transaction ends; None when it has ended or another worker has it. `readable`: the
    transaction before which the log is complete, `settled`: that is all that the replay covers."""
    return await connection.fetchrow(_LOCK, organization_id, replay_id)


async def endpoint(connection: Connection, replay: Any) -> Any:
    return await connection.fetchrow(_ENDPOINT, replay["organization_id"], replay["endpoint_id"])


def _range(replay: Any, xid: str) -> tuple[Any, ...]:
    names = ("organization_id", "mode", "workspace_id", "since", "until")
    return (*(replay[name] for name in names), xid)


async def total(connection: Connection, replay: Any) -> int:
    """How many events the replay will look at, as far as is known now."""
    found: int = await connection.fetchval(_TOTAL, *_range(replay, replay["until_xid"]))
    return found


async def page(connection: Connection, replay: Any, limit: int) -> list[Any]:
    """The next events of the log that the replay covers, in the order of the log."""
    place = (replay["cursor_xid"] or "0", replay["cursor_id"] or UUID(int=0))
    return list(await connection.fetch(_PAGE, *_range(replay, replay["readable"]), *place, limit))


async def one(connection: Connection, replay: Any) -> list[Any]:
    return list(await connection.fetch(_ONE, replay["organization_id"], replay["event_id"], replay["mode"]))


async def states(connection: Connection, replay: Any, events: Sequence[Any]) -> dict[UUID, str]:
    """Event id -> what became of its delivery: its status, or `under_way`. Events without a delivery are left out."""
    ids = [event["id"] for event in events]
    rows = await connection.fetch(_STATES, replay["organization_id"], replay["endpoint_id"], ids, HELD)
    return {row["event_id"]: "under_way" if row["under_way"] else row["status"] for row in rows}


async def outstanding(connection: Connection, replay: Any, most: int) -> int:
    """How many deliveries of the replay are still to be sent for the first time, at most `most`."""
    key = (replay["organization_id"], replay["id"])
    found: int = await connection.fetchval(_OUTSTANDING, *key, most, HELD)
    return found


async def again(connection: Connection, replay: Any, due: Sequence[Due]) -> None:
    """Make deliveries due that are there."""
    key = (replay["organization_id"], replay["endpoint_id"], replay["id"])
    await connection.execute(_AGAIN, *key, [item.event["id"] for item in due], [item.ahead for item in due])


async def make(connection: Connection, replay: Any, made: Sequence[Due]) -> int:
    """Make deliveries that are not there, and return how many that were."""
    tag: str = await connection.execute(
        _NEW,
        *(replay["organization_id"], replay["endpoint_id"], replay["id"]),
        [item.ahead for item in made],
        [new_uuid() for _ in made],
        [item.event["id"] for item in made],
        [item.event["created_at"] for item in made],
        [item.event["type"] for item in made],
        [item.fifo_key for item in made],
        [item.fifo_position for item in made],
    )
    return int(tag.rpartition(" ")[2])


async def take_positions(connection: Connection, replay: Any, count: int) -> int:
    """The first of so many places in the order of the endpoint."""
    first: int | None = await connection.fetchval(
        _TAKE_POSITIONS, replay["organization_id"], replay["endpoint_id"], count
    )
    return first or 0


async def start(connection: Connection, replay: Any, events: int) -> None:
    await connection.execute(_START, replay["organization_id"], replay["id"], events)


async def move(
    connection: Connection, replay: Any, *, scanned: int, created: int, resent: int, last: Any, ended: bool
) -> None:
    """`last`: the event up to which the log was looked at, None for no further than before."""
    place = (last["xid"], last["id"]) if last is not None else (None, None)
    key = (replay["organization_id"], replay["id"])
    await connection.execute(_MOVE, *key, scanned, created, resent, *place, ended)


async def finish(connection: Connection, replay: Any, status: str, reason: str | None = None) -> None:
    await connection.execute(_FINISH, replay["organization_id"], replay["id"], status, reason)
