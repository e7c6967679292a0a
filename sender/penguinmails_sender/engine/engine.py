"""The loop: claim, send, write. Several engines may run at once, in one process or in many.

What makes a kill harmless: a claim commits with its attempt rows before any SMTP; a result commits with its events; and
what lies between is told apart by the lease. While work is in hand its leases are extended; when they run out, another
engine takes over and the message's class decides (`repository.take_over_lost`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import orjson

from penguinmails_core.config import SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.emails.lanes import priority
from penguinmails_core.errors import Unavailable
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.addresses import AddressError, canonical
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.doorbell import EVENTS, MAIL, Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models.email import RecipientStatus
from penguinmails_core.sending import repository
from penguinmails_sender.dkim import DkimKeyError
from penguinmails_sender.engine.outcomes import (
    Decision,
    Job,
    RetryPolicy,
    decide,
    event_data,
    give_up,
    hand_back,
    unsaid,
)
from penguinmails_sender.engine.prepare import Group, KeyRing, load, seal
from penguinmails_sender.engine.results import AWAY, ResultWriter
from penguinmails_sender.mime import MimeError
from penguinmails_sender.smtp import Envelope, Outcome
from penguinmails_sender.transports import Transport

log = logging.getLogger(__name__)

_HAND_BACK_SECONDS = 5.0
_LOST_AT_ONCE = 500
_BACKLOG = 2000  # results waiting for the database; beyond it nothing new is claimed
_DRAIN_SECONDS = 10.0


class SenderEngine:
    """`transports` by mode: ``live`` and ``test``. `run` works until cancelled; `stop` finishes what is claimed."""

    def __init__(
        self,
        database: Database,
        content: ContentService,
        transports: Mapping[str, Transport],
        box: SecretBox,
        doorbell: Doorbell,
        settings: SenderSettings,
        worker_name: str,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self._database = database
        self._content = content
        self._transports = transports
        self._doorbell = doorbell
        self._settings = settings
        self._worker = worker_name
        self._keys = KeyRing(database, box)
        self._policy = RetryPolicy(settings.retry_base)
        self._rng = rng or random.Random()
        self._writer = ResultWriter(database.worker, self._written)
        self._open: dict[Any, Job] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._room = asyncio.Event()
        self._turn = 0
        self.sent = 0

    # ------------------------------------------------------------------ the loops

    async def run(self) -> None:
        """Until cancelled, or until `stop` has let it finish."""
        helpers = [
            asyncio.create_task(self._writer.run(), name="sender results"),
            asyncio.create_task(self._keep_leases(), name="sender leases"),
            asyncio.create_task(self._take_over(), name="sender takeover"),
        ]
        try:
            while not self._stopping.is_set():
                try:
                    claimed = await self.claim_round()
                except AWAY as error:
                    log.warning("sender: the database is away (%s)", type(error).__name__)
                    await self._pause(1.0)
                    continue
                except asyncpg.DeadlockDetectedError:
                    continue
                if not claimed:
                    await self._wait_for_work()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self.drained()
        finally:
            for task in (*helpers, *self._sends):
                task.cancel()
            await asyncio.gather(*helpers, *self._sends, return_exceptions=True)

    async def stop(self) -> None:
        """Claim nothing more, finish what is claimed; returns when `run` has nothing left or time is up."""
        self._stopping.set()
        self._room.set()
        self._doorbell.ring(MAIL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self.drained()

    async def drained(self) -> None:
        """Until everything claimed has its result on disk."""
        while self._sends:
            await asyncio.wait(set(self._sends))
        await self._writer.drained()

    async def run_once(self) -> int:
        """One round for tests: take over what is lost, claim every lane once, send, write. Returns how many were
        claimed."""
        writer = asyncio.create_task(self._writer.run())
        try:
            await self.take_over_once()
            claimed = await self.claim_round()
            await self.drained()
            return claimed
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _wait_for_work(self) -> None:
        if self._full:
            self._room.clear()
            if self._full and not self._stopping.is_set():
                await self._room.wait()
            return
        await self._doorbell.wait(MAIL, self._settings.poll.total_seconds())

    @property
    def _full(self) -> bool:
        return len(self._open) >= 4 * self._settings.claim_size or self._writer.backlog >= _BACKLOG

    # ------------------------------------------------------------------ claiming

    async def claim_round(self) -> int:
        """Every lane gets its turn with at most `claim_size`: urgent lanes first, equals in rotation, so that one busy
        lane delays the others by one claim, not by its queue."""
        if self._full:
            return 0
        lanes = await repository.lanes(self._database.worker)
        self._turn += 1
        rotation = self._turn % len(lanes) if lanes else 0
        ordered = sorted(lanes[rotation:] + lanes[:rotation], key=priority)
        total = 0
        for lane in ordered:
            if self._full or self._stopping.is_set():
                break
            total += await self._claim_lane(lane)
        return total

    async def _claim_lane(self, lane: str) -> int:
        attempt_ids = [new_uuid() for _ in range(self._settings.claim_size)]
        lease = self._settings.lease
        deadline = time.monotonic() + lease.total_seconds()
        async with self._database.worker.acquire() as connection, connection.transaction():
            rows = await repository.claim(connection, lane, attempt_ids, self._worker, lease)
            finished = [row for row in rows if row["verdict"] != "sending"]
            if finished:
                await _tell_finished(connection, finished)
        # From here on the attempts are on disk: a kill before their results makes them ambiguous, never unknown.
        if finished:
            self._doorbell.ring(EVENTS)
        jobs = [Job(row, row["attempt_id"], deadline) for row in rows if row["verdict"] == "sending"]
        for job in jobs:
            self._open[job.attempt_id] = job
        if jobs:
            self._start(self._work(jobs))
        return len(rows)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    # ------------------------------------------------------------------ sending

    async def _work(self, jobs: Sequence[Job]) -> None:
        """Load a claimed chunk and send its messages. One message that fails takes no other with it."""
        try:
            jobs = await self._without_late_suppressions(jobs)
            groups = await load(self._database, self._content, jobs)
        except (Unavailable, *AWAY) as error:
            log.warning("sender: content is not reachable (%s); %d go back", type(error).__name__, len(jobs))
            self._writer.add(hand_back(job, "content is not reachable", _HAND_BACK_SECONDS) for job in jobs)
            return
        for group in groups:
            self._start(self._send(group))

    async def _send(self, group: Group) -> None:
        try:
            decisions = await self._attempt(group)
        except Exception:
            # Our own fault. Nothing was sent yet when this can happen, so waiting and trying again is safe.
            log.exception("sender: a message could not be prepared")
            decisions = [hand_back(job, "could not be prepared", _HAND_BACK_SECONDS * 12) for job in group.jobs]
        self._writer.add(decisions)

    async def _attempt(self, group: Group) -> list[Decision]:
        mode = group.row["mode"]
        transport = self._transports[mode]
        if mode == "test":
            envelope = Envelope("", tuple(job.row["address"] for job in group.jobs), b"")
        else:
            content = group.content
            if content is None or content.missing:
                return [self._dead(job, "content_missing") for job in group.jobs]
            try:
                keys = await self._keys.keys(group.row["organization_id"], group.row["from_domain"])
                envelope = seal(group, keys)
            except (MimeError, CryptoError, DkimKeyError) as error:
                log.error("sender: a message cannot be written: %s", error)
                return [self._dead(job, "not_sendable", str(error)) for job in group.jobs]
        # SMTP takes a while; it must not begin when somebody else may soon believe that we are gone.
        least = self._settings.lease.total_seconds() / 3
        if min(job.deadline for job in group.jobs) - time.monotonic() < least:
            return [hand_back(job, "the lease was too short", 0.0) for job in group.jobs]
        results = await transport.deliver(envelope)
        now = utcnow()
        return [
            decide(job, result, final=transport.final, policy=self._policy, now=now, rng=self._rng)
            for job, result in zip(group.jobs, results, strict=True)
        ]

    @staticmethod
    def _dead(job: Job, reason: str, detail: str = "") -> Decision:
        return give_up(job, reason, unsaid(job, Outcome.BOUNCED, detail))

    async def _without_late_suppressions(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """The claim compares lower-cased ASCII addresses; quoted and international ones have a canonical form that SQL
        cannot make, so they are looked up here, still before anything is sent."""
        special = {}
        for job in jobs:
            address = job.row["address"]
            if job.row["mode"] == "test" and address.partition("@")[0].partition("+")[0].lower() == "suppressed":
                special[job.attempt_id] = (job, "")
            elif not address.isascii() or address.startswith('"'):
                with suppress(AddressError):
                    special[job.attempt_id] = (job, canonical(address))
        if not special:
            return jobs
        organizations = [job.row["organization_id"] for job, _ in special.values()]
        names = [name for _, name in special.values()]
        found = await repository.suppressed(self._database.worker, organizations, names)
        stopped = {
            key for key, (job, name) in special.items() if not name or (job.row["organization_id"], name) in found
        }
        self._writer.add(_suppressed(job) for job in jobs if job.attempt_id in stopped)
        return [job for job in jobs if job.attempt_id not in stopped]

    def _written(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            self._open.pop(decision.job.attempt_id, None)
        self.sent += sum(decision.outcome in ("sent", "delivered") for decision in decisions)
        self._room.set()
        self._doorbell.ring(EVENTS)
        if any(decision.wait is not None and decision.wait < 1 for decision in decisions):
            self._doorbell.ring(MAIL)

    # ------------------------------------------------------------------ leases

    async def _keep_leases(self) -> None:
        lease = self._settings.lease
        while True:
            await asyncio.sleep(lease.total_seconds() / 3)
            jobs = list(self._open.values())
            if not jobs:
                continue
            deadline = time.monotonic() + lease.total_seconds()
            organizations = [job.row["organization_id"] for job in jobs]
            try:
                await repository.extend_leases(
                    self._database.worker, organizations, [job.attempt_id for job in jobs], lease
                )
            except AWAY:
                continue
            for job in jobs:
                job.deadline = deadline

    async def _take_over(self) -> None:
        pause = max(0.2, min(self._settings.lease.total_seconds() / 3, 10.0))
        while True:
            try:
                taken = await self.take_over_once()
            except (*AWAY, asyncpg.DeadlockDetectedError) as error:
                log.warning("sender: no takeover this time (%s)", type(error).__name__)
                taken = 0
            if taken < _LOST_AT_ONCE:
                await asyncio.sleep(pause)

    async def take_over_once(self) -> int:
        """Attempts whose worker is gone: transactional mail is due again, campaign mail is given up."""
        async with self._database.worker.acquire() as connection, connection.transaction():
            rows = await repository.take_over_lost(connection, _LOST_AT_ONCE)
            if rows:
                await _tell_lost(connection, rows)
        if rows:
            log.warning("sender: took over %d attempts whose outcome nobody knows", len(rows))
            self._doorbell.ring(MAIL, EVENTS)
        return len(rows)


def _suppressed(job: Job) -> Decision:
    data = {**event_data(job.row), "reason": "suppressed"}
    result = unsaid(job, Outcome.BOUNCED)
    events = [(EventType.EMAIL_SUPPRESSED, data)]
    return Decision(job, "failed", RecipientStatus.SUPPRESSED, result, "suppressed", events=events)


async def _tell(connection: Connection, entries: Sequence[tuple[Any, EventType, dict[str, Any], int]]) -> None:
    """Write events: (row, type, data, sequence)."""
    columns = zip(
        *[
            (
                row["organization_id"],
                row["workspace_id"],
                new_uuid(),
                row["mode"],
                kind,
                row["id"],
                sequence,
                orjson.dumps(data).decode(),
            )
            for row, kind, data, sequence in entries
        ],
        strict=True,
    )
    await repository.write_events(connection, list(columns))


async def _tell_finished(connection: Connection, rows: Sequence[Any]) -> None:
    entries = []
    for row in rows:
        kind = EventType.EMAIL_SUPPRESSED if row["verdict"] == "suppressed" else EventType.EMAIL_FAILED
        entries.append((row, kind, {**event_data(row), "reason": row["verdict"]}, row["event_sequence"] + 1))
    await _tell(connection, entries)


async def _tell_lost(connection: Connection, rows: Sequence[Any]) -> None:
    entries = []
    for row in rows:
        data = {**event_data(row), "attempt": row["number"]}
        if row["status"] == RecipientStatus.QUEUED:
            data["next_attempt_at"] = rfc3339(row["due_at"])
            entries.append((row, EventType.EMAIL_DELIVERY_DELAYED, data, row["event_sequence"]))
        else:
            data["reason"] = "outcome_unknown"
            entries.append((row, EventType.EMAIL_FAILED, data, row["event_sequence"]))
    await _tell(connection, entries)
