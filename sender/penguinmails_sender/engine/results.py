"""Results in bulk: many decisions, one transaction. They are kept until they are written, however long the database is
away: a result that is lost would send a message twice or leave it open."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import orjson

from penguinmails_core.kit.addresses import AddressError, canonical
from penguinmails_core.kit.db import AWAY, Pool
from penguinmails_core.kit.ids import new_uuid, uuid_at
from penguinmails_core.sending import repository
from penguinmails_core.suppressions.payload import event_data, make_evidence
from penguinmails_sender.engine.outcomes import Decision

log = logging.getLogger(__name__)

_MOST = 500
_MAX_REPLY = 500


# What a row can cause that no other row is to blame for. Anything else (a full disk, a missing right, a server that has
# become read-only) is the server's, and waits.
_POISON = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, TypeError)


class ResultWriter:
    """`add` never waits. `on_written` is called with the decisions that are on disk, `on_refused` with those that can
    never be: their leases run out, and their class decides."""

    def __init__(
        self,
        pool: Pool,
        on_written: Callable[[Sequence[Decision]], None],
        on_refused: Callable[[Sequence[Decision]], None],
    ) -> None:
        self._pool = pool
        self._on_written = on_written
        self._on_refused = on_refused
        self._waiting: list[Decision] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    def add(self, decisions: Iterable[Decision]) -> None:
        self._waiting.extend(decisions)
        if self._waiting:
            self._idle.clear()
            self._wake.set()

    async def drained(self) -> None:
        await self._idle.wait()

    async def run(self) -> None:
        wait = 0.0
        while True:
            await self._wake.wait()
            # One turn of the loop: results that arrive together are written together.
            await asyncio.sleep(wait)
            batch = self._waiting[:_MOST]
            try:
                written = await self._write(batch)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                continue
            except Exception as error:
                wait = min(wait * 2 or 0.1, 2.0)
                log.warning("results: not written (%s); %d are kept", type(error).__name__, self.backlog)
                if not isinstance(error, AWAY):
                    log.debug("results: the refusal", exc_info=error)
                continue
            wait = 0.0
            # Only now: a batch that was committed without our hearing of it is written again, and changes nothing.
            del self._waiting[: len(batch)]
            if len(written) != len(batch):
                kept = {id(decision) for decision in written}
                self._on_refused([decision for decision in batch if id(decision) not in kept])
            self._on_written(written)
            if not self._waiting:
                self._wake.clear()
                self._idle.set()

    async def _write(self, batch: Sequence[Decision]) -> Sequence[Decision]:
        """Returns what is on disk. A refused batch is halved until the culprit stands alone; the culprit is written
        without the words of the far side, which are all that we did not make ourselves."""
        try:
            await write(self._pool, batch)
        except _POISON as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                return [*await self._write(batch[:middle]), *await self._write(batch[middle:])]
            log.error("results: the database refused a result: %s", error)
            try:
                await write(self._pool, [_wordless(batch[0])])
            except _POISON:
                log.exception("results: it refused the bare result too")
                return []
        return batch


def _wordless(decision: Decision) -> Decision:
    events = []
    for kind, data in decision.events:
        if "smtp" in data:
            data = {**data, "smtp": {**data["smtp"], "reply": "", "remote_host": None}}
        events.append((kind, data))
    return replace(decision, result=replace(decision.result, reply="", remote_host=""), events=events)


async def write(pool: Pool, decisions: Sequence[Decision]) -> None:
    """Attempt, recipient, events and suppressions of all decisions in one transaction."""
    results, events, suppressions = [], [], []
    now = time.time_ns() // 1_000_000
    for ord_, decision in enumerate(decisions):
        row, result = decision.job.row, decision.result
        organization = row["organization_id"]
        results.append(
            (
                ord_,
                organization,
                row["id"],
                decision.job.attempt_id,
                row["number"],
                decision.outcome,
                str(decision.status),
                result.code,
                result.enhanced_code,
                result.reply[:_MAX_REPLY].replace("\0", ""),
                result.remote_host or None,
                result.tls,
                decision.wait,
                decision.reason,
                len(decision.events),
            )
        )
        for n, (kind, data) in enumerate(decision.events, start=1):
            events.append(
                (
                    ord_,
                    n,
                    organization,
                    row["workspace_id"],
                    uuid_at(now + n),  # the log is read in the order of ids: sent comes before delivered
                    row["mode"],
                    kind,
                    row["id"],
                    orjson.dumps(data).decode(),
                )
            )
        # What test mode plays must not keep anybody from getting live mail.
        if decision.suppress and row["mode"] == "live":
            suppressions.append(_suppression(decision))
    async with pool.acquire() as connection, connection.transaction():
        await repository.write_results(connection, _columns(results, 15), _columns(events, 9))
        if suppressions:
            await repository.suppress(connection, _columns(suppressions, 8))


def _suppression(decision: Decision) -> tuple[Any, ...]:
    row, result = decision.job.row, decision.result
    assert decision.suppress is not None
    try:
        address = canonical(row["address"])
    except AddressError:
        address = row["address"].lower()
    suppression_id = new_uuid()
    evidence = make_evidence(
        email_id=row["message_id"],
        recipient_id=row["id"],
        code=result.code,
        enhanced_code=result.enhanced_code,
        reply=result.reply[:_MAX_REPLY].replace("\0", ""),
        remote_host=result.remote_host,
    )
    data = event_data(
        suppression_id, address=address, reason=decision.suppress, note=None, evidence=evidence, expires_at=None
    )
    return (
        row["organization_id"],
        row["workspace_id"],
        suppression_id,
        address,
        decision.suppress,
        orjson.dumps(evidence).decode(),
        new_uuid(),
        orjson.dumps(data).decode(),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) or [()] * width
