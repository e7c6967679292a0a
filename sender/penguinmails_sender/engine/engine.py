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
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from penguinmails_core.config import SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.emails.lanes import is_live, key_of
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import AWAY, Database
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.kit.doorbell import EVENTS, MAIL, Doorbell
from penguinmails_core.lanes.policies import load
from penguinmails_core.sending import repository
from penguinmails_sender.engine.announce import tell_lost
from penguinmails_sender.engine.claiming import FINISHED, Claimer
from penguinmails_sender.engine.dispatch import Dispatcher
from penguinmails_sender.engine.outcomes import Decision, Job
from penguinmails_sender.engine.personal import Personalizer
from penguinmails_sender.engine.results import ResultWriter
from penguinmails_sender.lanes.book import LaneBook, Limits
from penguinmails_sender.lanes.governor import Governor
from penguinmails_sender.lanes.pools import load_pools
from penguinmails_sender.lanes.sorting import Sorter
from penguinmails_sender.mailboxes.sending import MailboxSender
from penguinmails_sender.transports import Transport

log = logging.getLogger(__name__)

_LOST_AT_ONCE = 500
_BACKLOG = 2000  # results waiting for the database; beyond it nothing new is claimed
_DRAIN_SECONDS = 10.0
_SHORTEST = 0.02  # seconds between looks for what a paced lane may send


@dataclass(slots=True)
class Counters:
    """Since the start of this process. `outcomes`: attempts that ended, by what became of them."""

    claimed: int = 0
    taken_over: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


def limits_of(settings: SenderSettings) -> Limits:
    """What the capture inbox takes goes nowhere, so nothing is paced. Raises `PolicyError`."""
    paced = settings.transport != "capture"
    return Limits(load(settings.lanes_file), load_pools(settings.lanes_file), paced)


class SenderEngine:
    """`transports` by mode: ``live`` and ``test``. `run` works until cancelled; `stop` finishes what is claimed. With a
    `resolver`, mail to domains that nobody has mailed yet is sorted by their MX. `limits` are the settings' unless
    given. Raises `PolicyError` for a lanes file that makes no sense."""

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
        mailboxes: MailboxSender | None = None,
        resolver: Resolver | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self.book = LaneBook(database.worker, limits or limits_of(settings), worker_name)
        self._claimer = Claimer(
            database, self.book, worker_name, settings.claim_size, settings.lease, sort=resolver is not None
        )
        self._governor = Governor(database.worker, self.book, lambda: doorbell.ring(MAIL))
        self._sorter = None if resolver is None else Sorter(database.worker, resolver)
        self._writer = ResultWriter(database.worker, self._written, self._refused)
        self._dispatcher = Dispatcher(
            database,
            content,
            transports,
            box,
            settings,
            rng or random.Random(),
            self.book,
            decided=self._writer.add,
            abandoned=self._abandon,
            start=self._start,
            personal=personal,
            mailboxes=mailboxes,
        )
        self._open: dict[UUID, Job] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._room = asyncio.Event()
        self.most_open = 4 * settings.claim_size  # recipients in hand at once
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
            asyncio.create_task(self._governor.run(), name="sender lanes"),
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
                await self._governor.flush()
                await self.book.leave()
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
        """One round for tests: take over what is lost, claim every queue once, send, write, look after the lanes.
        Returns how many were claimed."""
        writer = asyncio.create_task(self._writer.run())
        try:
            await self.take_over_once()
            await self.book.refresh()
            claimed = await self.claim_round()
            await self.drained()
            await self._governor.tick()
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
        wait = self._settings.poll.total_seconds()
        opens = self._claimer.next_open
        await self._doorbell.wait(MAIL, wait if opens is None else min(wait, max(opens, _SHORTEST)))

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

    @property
    def unconfirmed(self) -> list[UUID]:
        """Attempts of claims whose commit nobody confirmed."""
        return self._claimer.unconfirmed

    async def claim_round(self) -> int:
        """Every queue gets its turn, urgent ones first, so that a long one delays the others by one claim and not by
        its length; what does not fit now comes first soon (`Rotation`)."""
        if self._full or not await self._dispatcher.can_work():
            return 0
        if self.unconfirmed:
            await repository.take_back(self._database.worker, self.unconfirmed)
            self.unconfirmed.clear()
        await self._claimer.look()
        total = 0
        while part := await self._claimer.next_part(lambda: self._full or self._stopping.is_set()):
            deadline = time.monotonic() + self._settings.lease.total_seconds()
            total += self._take(await self._claimer.claim(part), deadline)
        return total

    def _take(self, rows: Sequence[Any], deadline: float) -> int:
        # From here on the attempts are on disk: a kill before their results makes them ambiguous, never unknown.
        if any(row["verdict"] in FINISHED for row in rows):
            self._doorbell.ring(EVENTS)
        self.counters.claimed += len(rows)
        jobs = [Job(row, row["attempt_id"], deadline) for row in rows if row["verdict"] == "sending"]
        for job in jobs:
            self._open[job.attempt_id] = job
            if is_live(job.row["lane"]):
                self.book.in_hand[key_of(job.row["lane"])] += 1
        if jobs:
            self._start(self._work(jobs))
        unsorted = [row for row in rows if row["verdict"] == "unsorted"]
        if unsorted and self._sorter is not None:
            self._start(self._sort(self._sorter, unsorted))
        return len(rows)

    async def _sort(self, sorter: Sorter, rows: Sequence[Any]) -> None:
        try:
            await sorter.sort(rows)
        except Exception as error:  # they are due again in some seconds
            log.warning("sender: %d recipients were not sorted (%s)", len(rows), type(error).__name__)
        self._doorbell.ring(MAIL)

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
        self._forget(decision.job for decision in decisions)
        self._governor.observe(decisions)
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
        self._forget(jobs)
        self._room.set()

    def _forget(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if self._open.pop(job.attempt_id, None) is not None and is_live(job.row["lane"]):
                self.book.done(key_of(job.row["lane"]))

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
