"""Verified domains are looked at again and again: DNS changes, and mail then suffers without anybody being told.

A key that is gone ends sending only after a time of grace, which begins with an event; a resolver that gives no answer
never counts against a domain. Evidence is what was observed, which the domain shows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.domains import drift_repository as repository
from penguinmails_core.domains.dns_records import Observation, Record, RecordStatus, desired, look
from penguinmails_core.events import repository as events
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.kit.doorbell import EVENTS, Doorbell
from penguinmails_core.kit.ids import Prefix, encode

log = logging.getLogger(__name__)

EVERY = timedelta(hours=6)  # each verified domain
GRACE = timedelta(hours=72)  # from the first look that misses the key to the end of sending
_PAUSE = 60.0  # seconds between rounds
_AT_ONCE = 20


class DriftWatch:
    """`run_round` is safe in several processes at once: a domain is claimed by moving its next look ahead."""

    def __init__(
        self, database: Database, resolver: Resolver, doorbell: Doorbell, *, spf: str = "", every: timedelta = EVERY
    ) -> None:
        self._database = database
        self._resolver = resolver
        self._doorbell = doorbell
        self._spf = spf
        self._every = every

    async def run(self) -> None:
        """Until cancelled; a round that fails is tried again with the next."""
        while True:
            try:
                while await self.run_round() == _AT_ONCE:
                    pass
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("domains: skipped a look at DNS (%s)", type(error).__name__)
            await asyncio.sleep(_PAUSE)

    async def run_round(self) -> int:
        """Look at the domains whose turn it is; returns how many those were."""
        due = await repository.claim(self._database.worker, self._every, _AT_ONCE)
        told = await asyncio.gather(*[self._look_at(row) for row in due])
        if any(told):
            self._doorbell.ring(EVENTS)
        return len(due)

    async def _look_at(self, row: Any) -> bool:
        """Whether an event was written."""
        records = desired(row["name"], [tuple(key) for key in row["keys"]], self._spf)
        observed = await look(self._resolver, records)  # no transaction is open while DNS is asked
        async with self._database.worker.acquire() as connection, connection.transaction():
            current = await repository.lock(connection, row["organization_id"], row["id"])
            if current is None:  # deleted, or not verified any more
                return False
            return await _record(connection, current, records, observed)


async def _record(connection: Connection, row: Any, records: list[Record], observed: Mapping[str, Observation]) -> bool:
    before = {record.name: Observation.of(row["observed"].get(record.name)) for record in records}
    # No answer is no news: what was seen before stays.
    seen = {name: before[name] if one.status is RecordStatus.UNAVAILABLE else one for name, one in observed.items()}
    lost = [
        record
        for record in records
        if before[record.name].status is RecordStatus.FOUND
        and seen[record.name].status in (RecordStatus.MISSING, RecordStatus.MISMATCH)
    ]
    proof = next(record for record in records if record.proof)
    gone = seen[proof.name].status in (RecordStatus.MISSING, RecordStatus.MISMATCH)
    answered = observed[proof.name].status is not RecordStatus.UNAVAILABLE
    since: datetime | None = row["failing_since"]
    if answered:
        since = (since or row["now"]) if gone else None
    over = gone and answered and since is not None and row["now"] - since >= GRACE
    status = "failed" if over else "verified"
    await repository.save(
        connection, row, {name: one.to_json() for name, one in seen.items()}, since, status, told=bool(lost or over)
    )
    if over:
        await _tell(connection, row, EventType.DOMAIN_FAILED, {"status": status, "reason": "records_missing"})
        resource = Resource(Prefix.DOMAIN, row["id"], row["workspace_id"])
        system = Actor.system(row["organization_id"], "domain verification")
        was, became = {"status": "verified"}, {"status": status, "reason": "records_missing"}
        await audit.record_on(connection, system, "domain.failed", resource, was, became)
    elif lost:
        ends_at = rfc3339(since + GRACE) if gone and since is not None else None
        drifted = [
            {"type": "TXT", "name": one.name, "expected": one.value, "found": list(seen[one.name].values)}
            for one in lost
        ]
        what = {"status": status, "records": drifted, "sending_ends_at": ends_at}
        await _tell(connection, row, EventType.DOMAIN_DRIFT, what)
    return bool(lost or over)


async def _tell(connection: Connection, row: Any, event: EventType, what: dict[str, Any]) -> None:
    await events.add_on(
        connection,
        organization_id=row["organization_id"],
        workspace_id=row["workspace_id"],
        mode="live",
        event=event,
        resource_id=row["id"],
        sequence=row["event_sequence"] + 1,
        payload={"domain_id": encode(Prefix.DOMAIN, row["id"]), "name": row["name"]} | what,
    )
