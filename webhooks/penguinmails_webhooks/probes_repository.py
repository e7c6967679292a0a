"""SQL of probes: trying endpoints that were disabled because they failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.http import display_url
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_webhooks.outcome_repository import Told, note, tell
from penguinmails_webhooks.records import Delivery, Outcome
from penguinmails_webhooks.repository import ENDPOINT_COLUMNS

# Moving `probe_at` is the lease: a worker that dies leaves an endpoint that is tried again.
_BEGIN = f"""
with due as materialized (
  select organization_id, id from webhook_endpoints
  where probe_at <= now() and status = 'disabled' and disabled_reason = 'failing'
  order by probe_at limit $1 for update skip locked
)
update webhook_endpoints e
set probes = e.probes + 1, probe_at = now() + $2::interval, event_sequence = e.event_sequence + 1
from due d where e.organization_id = d.organization_id and e.id = d.id
returning e.organization_id, e.id as endpoint_id, e.workspace_id, e.mode, e.event_sequence, e.probes, e.disabled_at,
  now() - coalesce(e.disabled_at, now()) as disabled_for, now() as moment, {ENDPOINT_COLUMNS}"""

_EVENT = "select *, payload::text as payload from events where organization_id = $1 and id = $2 and created_at = $3"

_OWE = """
insert into webhook_deliveries
  (organization_id, id, endpoint_id, event_id, event_created_at, event_type, status, attempts, last_error)
values ($1, $2, $3, $4, $5, $6, 'exhausted', 1, 'interrupted: the worker that made this probe ended')"""

_RECORD = """
with attempt as (
  insert into webhook_attempts (organization_id, id, delivery_id, endpoint_id, number, started_at, duration_ms,
    status_code, error, response_body)
  values ($1, $3, $2, $4, 1, $5, $6, $7, $8, $9)
)
update webhook_deliveries set status = $10, last_status_code = $7, last_error = $8,
  delivered_at = case when $10 = 'delivered' then now() end
where organization_id = $1 and id = $2"""

_ENABLE = """
update webhook_endpoints
set status = 'enabled', disabled_reason = null, disabled_at = null, probe_at = null, probes = 0, notice = 'enabled',
  failing_since = null, failing_confirmed_at = null, consecutive_failures = 0, breaker = 'closed',
  breaker_until = null, breaker_openings = 0, updated_at = now(), event_sequence = event_sequence + 1
where organization_id = $1 and id = $2 and status = 'disabled' and disabled_reason = 'failing' and url = $3
returning workspace_id, mode, event_sequence"""

_PUT_OFF = """
update webhook_endpoints
set probe_at = now() + $3::interval, disabled_reason = case when $4 then 'gone' else disabled_reason end
where organization_id = $1 and id = $2 and status = 'disabled' and disabled_reason = 'failing'"""


@dataclass(frozen=True, slots=True)
class Probe:
    """`number` counts the probes since the endpoint was disabled, from 1."""

    delivery: Delivery
    number: int
    disabled_at: datetime | None
    disabled_for: timedelta


async def begin(connection: Connection, limit: int, lease: timedelta, message: str) -> list[Probe]:
    """Up to `limit` probes that are due, each with its event and its delivery."""
    probes = []
    for row in await connection.fetch(_BEGIN, limit, lease):
        key = (row["organization_id"], row["endpoint_id"])
        told = Told(key, row["workspace_id"], row["mode"], row["event_sequence"])
        payload = {"endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, key[1]), "message": message}
        event_id, delivery_id = await tell(connection, EventType.WEBHOOK_TEST, told, payload), new_uuid()
        kind = EventType.WEBHOOK_TEST.value
        await connection.execute(_OWE, key[0], delivery_id, key[1], event_id, row["moment"], kind)
        delivery = Delivery(
            key=key,
            id=delivery_id,
            event_id=event_id,
            event_type=kind,
            number=1,
            url=row["url"],
            secret=row["secret"],
            request=row["request"],
            failed_too_long=False,
            event=await connection.fetchrow(_EVENT, key[0], event_id, row["moment"]),
        )
        probes.append(Probe(delivery, row["probes"], row["disabled_at"], row["disabled_for"]))
    return probes


async def record(connection: Connection, outcome: Outcome) -> None:
    delivery = outcome.delivery
    await connection.execute(
        _RECORD,
        delivery.key[0],
        delivery.id,
        outcome.attempt_id,
        delivery.key[1],
        outcome.started_at,
        outcome.duration_ms,
        outcome.status_code,
        outcome.error,
        outcome.response_body,
        "delivered" if outcome.status == "delivered" else "exhausted",
    )


async def enable(connection: Connection, probe: Probe) -> bool:
    """With its event and an entry in the audit log. False when somebody has changed it in the meantime."""
    delivery = probe.delivery
    row = await connection.fetchrow(_ENABLE, *delivery.key, delivery.url)
    if row is None:
        return False
    told = Told(delivery.key, row["workspace_id"], row["mode"], row["event_sequence"])
    payload = {
        "endpoint_id": encode(Prefix.WEBHOOK_ENDPOINT, delivery.key[1]),
        "url": display_url(delivery.url),
        "reason": "recovered",
        "disabled_at": rfc3339(probe.disabled_at) if probe.disabled_at else None,
    }
    await tell(connection, EventType.WEBHOOK_ENDPOINT_ENABLED, told, payload)
    before = {"status": "disabled", "disabled_reason": "failing"}
    await note(connection, told, "enabled", before, {"status": "enabled", "disabled_reason": None})
    return True


async def put_off(connection: Connection, probe: Probe, wait: timedelta) -> None:
    """Try it again after `wait`."""
    await connection.execute(_PUT_OFF, *probe.delivery.key, wait, False)


async def give_up(connection: Connection, probe: Probe, *, gone: bool) -> None:
    """Try it no more. `gone`: it has answered 410."""
    await connection.execute(_PUT_OFF, *probe.delivery.key, None, gone)
