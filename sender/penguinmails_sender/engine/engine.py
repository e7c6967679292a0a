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
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from penguinmails_core.config import SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import EVENTS, MAIL, Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.sending import repository
from penguinmails_sender.engine.announce import tell_finished, tell_lost
from penguinmails_sender.engine.dispatch import Dispatcher
from penguinmails_sender.engine.outcomes import Decision, Job
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.engine.results import AWAY, ResultWriter
from penguinmails_sender.engine.rotation import Rotation
from penguinmails_sender.transports import Transport

log = logging.getLogger(__name__)

_LOST_AT_ONCE = 500
_BACKLOG = 2000  # results waiting for the database; beyond it nothing new is claimed
_DRAIN_SECONDS = 10.0


@dataclass(slots=True)
class Counters:
    """Since the start of this process. `outcomes`: attempts that ended, by what became of them."""

    claimed: int = 0
    taken_over: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


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
        personal: Personalizer | None = None,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._worker = worker_name
        self._writer = ResultWriter(database.worker, self._written, self._refused)
        self._dispatcher = Dispatcher(
            database,
            content,
            transports,
            box,
            settings,
            rng or random.Random(),
            decided=self._writer.add,
            abandoned=self._abandon,
            start=self._start,
            personal=personal,
        )
        self._rotation = Rotation()
        self._open: dict[UUID, Job] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._room = asyncio.Event()
        self.most_open = 4 * settings.claim_size  # recipients in hand at once
        self.unconfirmed: list[UUID] = []  # attempts of claims whose commit nobody confirmed
        self.sent = 0
        self.counters = Counters()

    # ------------------------------------------------------------------ the loops

    async def run(self) -> None:
        """Until cancelled, or until `stop` has let it finish. Whatever goes wrong, the next round tries again."""
        self._ended.clear()
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
                except asyncpg.DeadlockDetectedError:
                    continue
                except Exception:
                    log.exception("sender: a round failed")
                    await self._pause(1.0)
                else:
                    if not claimed:
                        await self._wait_for_work()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self.drained()
        finally:
            for task in (*helpers, *self._sends):
                task.cancel()
            await asyncio.gather(*helpers, *self._sends, return_exceptions=True)
            self._ended.set()

    async def stop(self) -> None:
        """Claim nothing more and finish what is claimed; returns when `run` has ended or time is up."""
        self._stopping.set()
        self._room.set()
        self._doorbell.ring(MAIL)
        with suppress(TimeoutError):
            # A little longer than `run` gives itself: it may be in the middle of a claim that is about to commit.
            async with asyncio.timeout(_DRAIN_SECONDS + 2):
                await self._ended.wait()
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
    def in_hand(self) -> int:
        """Recipients that are claimed and have no result on disk."""
        return len(self._open)

    @property
    def backlog(self) -> int:
        """Results that wait for the database."""
        return self._writer.backlog

    @property
    def _full(self) -> bool:
        return len(self._open) >= self.most_open or self._writer.backlog >= _BACKLOG

    # ------------------------------------------------------------------ claiming

    async def claim_round(self) -> int:
        """Every lane gets its turn with at most `claim_size`, so that one busy lane delays the others by one claim, not
        by its queue; what does not fit now comes first soon (`Rotation`)."""
        if self._full or not await self._dispatcher.can_work():
            return 0
        if self.unconfirmed:
            await repository.take_back(self._database.worker, self.unconfirmed)
            self.unconfirmed.clear()
        total = 0
        for lane in self._rotation.order(await repository.lanes(self._database.worker)):
            if self._full or self._stopping.is_set():
                break
            total += await self._claim_lane(lane)
            self._rotation.served(lane)
        return total

    async def _claim_lane(self, lane: str) -> int:
        attempt_ids = [new_uuid() for _ in range(self._settings.claim_size)]
        lease = self._settings.lease
        deadline = time.monotonic() + lease.total_seconds()
        try:
            async with self._database.worker.acquire() as connection, connection.transaction():
                rows = await repository.claim(connection, lane, attempt_ids, self._worker, lease)
                finished = [row for row in rows if row["verdict"] != "sending"]
                if finished:
                    await tell_finished(connection, finished)
        except AWAY:
            # It may have committed all the same. Nothing of it is sent, so it can be taken back without a doubt.
            self.unconfirmed += attempt_ids
            raise
        # From here on the attempts are on disk: a kill before their results makes them ambiguous, never unknown.
        if finished:
            self._doorbell.ring(EVENTS)
        self.counters.claimed += len(rows)
        jobs = [Job(row, row["attempt_id"], deadline) for row in rows if row["verdict"] == "sending"]
        for job in jobs:
            self._open[job.attempt_id] = job
        if jobs:
            self._start(self._work(jobs))
        return len(rows)

    async def _work(self, jobs: Sequence[Job]) -> None:
        try:
            await self._dispatcher.work(jobs)
        except Exception:
            log.exception("sender: a chunk of %d could not be worked on", len(jobs))
            self._abandon(jobs)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    # ------------------------------------------------------------------ what became of it

    def _written(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            self._open.pop(decision.job.attempt_id, None)
        self.counters.outcomes.update(decision.outcome for decision in decisions)
        self.sent += sum(decision.outcome in ("sent", "delivered") for decision in decisions)
        self._room.set()
        self._doorbell.ring(EVENTS)
        if any(decision.wait is not None and decision.wait < 1 for decision in decisions):
            self._doorbell.ring(MAIL)

    def _refused(self, decisions: Sequence[Decision]) -> None:
        self._abandon([decision.job for decision in decisions])

    def _abandon(self, jobs: Sequence[Job]) -> None:
        """Let the leases run out: the takeover decides by the class of the message."""
        for job in jobs:
            self._open.pop(job.attempt_id, None)
        self._room.set()

    # ------------------------------------------------------------------ leases

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease.total_seconds() / 3)
            try:
                await self.extend_leases()
            except Exception as error:  # without extended leases others would send our mail again: never give up
                log.warning("sender: leases were not extended (%s)", type(error).__name__)

    async def extend_leases(self) -> None:
        """Of everything in hand. What was taken over meanwhile is no longer ours: its SMTP must not begin."""
        jobs = list(self._open.values())
        if not jobs:
            return
        lease = self._settings.lease
        deadline = time.monotonic() + lease.total_seconds()
        organizations = [job.row["organization_id"] for job in jobs]
        held = await repository.extend_leases(
            self._database.worker, organizations, [job.attempt_id for job in jobs], lease
        )
        for job in jobs:
            job.deadline = deadline if job.attempt_id in held else 0.0

    async def _take_over(self) -> None:
        pause = max(0.2, min(self._settings.lease.total_seconds() / 3, 10.0))
        while True:
            taken = 0
            try:
                taken = await self.take_over_once()
            except Exception as error:
                log.warning("sender: no takeover this time (%s)", type(error).__name__)
            if taken < _LOST_AT_ONCE:
                await asyncio.sleep(pause)

    async def take_over_once(self) -> int:
        """Attempts whose worker is gone: transactional mail is due again, campaign mail is given up."""
        async with self._database.worker.acquire() as connection, connection.transaction():
            rows = await repository.take_over_lost(connection, _LOST_AT_ONCE)
            if rows:
                await tell_lost(connection, rows)
        if rows:
            self.counters.taken_over += len(rows)
            log.warning("sender: took over %d attempts whose outcome nobody knows", len(rows))
            self._doorbell.ring(MAIL, EVENTS)
        return len(rows)
