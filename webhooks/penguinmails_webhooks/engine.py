"""The delivery engine: reads the event log, writes what is owed, sends what is due.

Two loops. *Fan-out* turns events into deliveries. *Delivery* writes the outcomes of finished requests and claims due
deliveries, both in one short transaction, and starts the requests outside of it. Any number of processes may run it.
A worker that dies leaves leases that run out; the event is then sent again with the same `webhook-id` (at least once).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import EVENTS, WEBHOOKS, Doorbell
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_webhooks import repository
from penguinmails_webhooks.delivery import Sender
from penguinmails_webhooks.fairness import Lineup
from penguinmails_webhooks.fanout import Fanout
from penguinmails_webhooks.records import Delivery, Key, Outcome

log = logging.getLogger(__name__)

DISABLE_AFTER = timedelta(days=5)
_SLOW = 2.0  # seconds after which a request does not count against `concurrency` any more
_SLOW_SHARE = 8  # how many times `concurrency` may be waiting in all
_LEAST_GAP = 0.05  # seconds between two looks for due endpoints
_RETRY_LEAST, _RETRY_MOST = 0.1, 5.0  # seconds to wait while the database is away
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)  # by the database or its driver
_MANY = 10_000  # claims after which the tables are not small
_BATCH = 500  # outcomes in one transaction


@dataclass(slots=True)
class Counters:
    """Since the start of this process. `attempts` counts requests that ended; `cancelled` what was owed to endpoints
    that were disabled or deleted."""

    events: int = 0
    owed: int = 0
    claimed: int = 0
    attempts: int = 0
    delivered: int = 0
    retried: int = 0
    exhausted: int = 0
    cancelled: int = 0
    disabled: int = 0


class WebhookEngine:
    """`run` until `stop`, or `run_once` for one round. Without `http` it makes a client by the settings and closes it.

    `endpoint_concurrency`: requests at once to one endpoint. `disable_after`: how long an endpoint may fail.
    """

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        doorbell: Doorbell,
        settings: WebhookSettings,
        http: OutgoingHttp | None = None,
        *,
        endpoint_concurrency: int = 8,
        disable_after: timedelta = DISABLE_AFTER,
        rng: random.Random | None = None,
    ) -> None:
        self.counters = Counters()
        self._pool = database.worker
        self._doorbell = doorbell
        self._concurrency = settings.concurrency
        self._poll = settings.poll.total_seconds()
        # A lease that ran out under a request that may still be answered would send the event twice.
        self._lease = max(settings.lease, timedelta(seconds=settings.timeout + 15))
        self._disable_after = disable_after
        most = settings.concurrency * _SLOW_SHARE
        self._own_http = http is None
        self._http = http or OutgoingHttp(
            allow_private=settings.allow_private, timeout=settings.timeout, limit=most, limit_per_host=most
        )
        self._sender = Sender(self._http, secret_box, scale=settings.retry_scale, rng=rng or random.Random())
        self._fanout = Fanout(database.worker)
        self._lineup = Lineup(endpoint_concurrency)
        self._requests: dict[asyncio.Task[None], float] = {}
        self._outcomes: list[Outcome] = []
        self._wake = asyncio.Event()
        self._look_at = 0.0  # when to look for due endpoints again
        self._gap = _LEAST_GAP
        self._looked = 0.0
        self._stopping = False
        self._running: asyncio.Event | None = None

    @property
    def in_flight(self) -> int:
        return len(self._requests)

    async def run(self) -> None:
        """Until `stop`. When cancelled it drops everything at once, as a crash would."""
        self._stopping, self._running = False, asyncio.Event()
        helpers = [
            asyncio.create_task(self._fan_out_forever(), name="webhook fan-out"),
            asyncio.create_task(self._listen(), name="webhook bell"),
        ]
        try:
            await self._deliver_forever()
        finally:
            for task in (*helpers, *self._requests):
                task.cancel()
            await asyncio.gather(*helpers, *self._requests, return_exceptions=True)
            self._requests.clear()
            if self._own_http:
                await self._http.close()
            self._running.set()

    async def stop(self, grace: float = 5.0) -> None:
        """Claims nothing more, waits up to `grace` seconds for requests under way and writes their outcomes. What has
        not ended by then is sent again when its lease is over."""
        self._stopping = True
        running, loop = self._running, asyncio.get_running_loop()
        if running is None:
            if self._own_http:
                await self._http.close()
            return
        end = loop.time() + grace
        while self._requests and loop.time() < end:
            await asyncio.wait(list(self._requests), timeout=end - loop.time())
        for task in list(self._requests):
            task.cancel()
        self._wake.set()
        await running.wait()

    async def run_once(self) -> None:
        """Reads the log to its end, then sends everything that was due at that moment, and writes the outcomes."""
        while await self._fan_out():
            pass
        moment = await self._pool.fetchval("select clock_timestamp()")
        await self._look()
        while True:
            started = await self._cycle(moment)
            if self._requests:
                await asyncio.wait(list(self._requests), return_when=asyncio.FIRST_COMPLETED)
            elif not started and not self._outcomes:
                return

    # Fan-out

    async def _fan_out(self) -> bool:
        """One page of the log; True when there is more."""
        page = await self._fanout.round()
        self.counters.events += page.read
        self.counters.owed += page.created
        if page.owed:
            now = asyncio.get_running_loop().time()
            for key in page.owed:
                self._lineup.due(key, now)
            self._wake.set()
            self._doorbell.ring(WEBHOOKS)
        return page.more

    async def _fan_out_forever(self) -> None:
        pause = _RETRY_LEAST
        while not self._stopping:
            try:
                more = await self._fan_out()
                pause = _RETRY_LEAST
            except Exception as error:
                _report("reading the event log", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MOST)
                continue
            if not more:
                await self._doorbell.wait(EVENTS, self._poll)

    async def _listen(self) -> None:
        while True:
            if await self._doorbell.wait(WEBHOOKS, 60):
                self._look_at = min(self._look_at, self._looked + self._gap)
                self._wake.set()

    # Delivery

    async def _deliver_forever(self) -> None:
        pause = _RETRY_LEAST
        while not self._stopping or self._requests or self._outcomes:
            self._wake.clear()
            try:
                loop = asyncio.get_running_loop()
                if not self._stopping and loop.time() >= self._look_at:
                    await self._look()
                await self._cycle()
                pause = _RETRY_LEAST
            except Exception as error:
                _report("delivering webhooks", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MOST)
                if self._stopping and pause >= _RETRY_MOST:
                    return  # the outcomes are lost, the leases are not: at least once
                continue
            await self._rest()

    async def _rest(self) -> None:
        """Until a request ends, a bell rings, or something becomes due."""
        now = asyncio.get_running_loop().time()
        due = self._lineup.next_due()
        until = min(self._look_at, now + self._poll, *((due,) if due is not None else ()))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(until - now, 0.001))

    async def _look(self) -> None:
        """Ask the database which endpoints are due: what other processes, callers and expired leases left to do."""
        loop = asyncio.get_running_loop()
        self._looked = loop.time()
        self._look_at = self._looked + self._poll  # before the look: a bell that rings meanwhile asks for another one
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.use_indexes(connection, keep_plans=self.counters.claimed > _MANY)
            rows = await repository.due_endpoints(connection)
            for row in rows:
                if not row["enabled"]:
                    key = (row["organization_id"], row["endpoint_id"])
                    self.counters.cancelled += await repository.cancel(connection, key)
        now = loop.time()
        self._lineup.reset(
            ((row["organization_id"], row["endpoint_id"]), now + row["seconds"]) for row in rows if row["enabled"]
        )
        # Looking costs in proportion to the endpoints that are owed something: at most a tenth of the time is spent.
        self._gap = max(_LEAST_GAP, 10 * (now - self._looked))
        self._look_at = max(self._look_at, self._looked + self._gap)

    def _free(self) -> int:
        """Requests that may be started. Receivers that hang cost a socket, not the turn of those that answer."""
        now = asyncio.get_running_loop().time()
        quick = sum(1 for started in self._requests.values() if now - started < _SLOW)
        return min(self._concurrency - quick, self._concurrency * _SLOW_SHARE - len(self._requests))

    async def _cycle(self, due_before: datetime | None = None) -> int:
        """Write what ended, claim what is due, start it. Returns how many requests were started."""
        now = asyncio.get_running_loop().time()
        picks = [] if self._stopping else self._lineup.choose(now, self._free())
        outcomes, later = _distinct(self._outcomes)
        if not picks and not outcomes:
            return 0
        self._outcomes = later
        try:
            claimed, disabled = await self._exchange(outcomes, picks, due_before)
        except BaseException as error:
            if isinstance(error, _REFUSED):  # one bad row must not hold up the others for ever
                outcomes = [outcome.bare() for outcome in outcomes]
            self._outcomes = outcomes + self._outcomes
            for key, _ in picks:
                self._lineup.claimed(key, 0, 0)
            raise
        self._count(outcomes, disabled)
        self._start(picks, claimed)
        now = asyncio.get_running_loop().time()
        for outcome in outcomes:
            if outcome.wait is not None:
                self._lineup.due(outcome.delivery.key, now + outcome.wait)
        if disabled:
            self._doorbell.ring(EVENTS)
        return len(claimed)

    async def _exchange(
        self, outcomes: Sequence[Outcome], picks: Sequence[tuple[Key, int]], due_before: datetime | None
    ) -> tuple[list[Delivery], int]:
        """One transaction, so that a busy engine commits once for what ended and what begins."""
        claimed: list[Delivery] = []
        disabled = 0
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.use_indexes(connection, keep_plans=self.counters.claimed > _MANY)
            if outcomes:
                await repository.record(connection, outcomes)
                for outcome in {outcome.delivery.key: outcome for outcome in outcomes if outcome.disable}.values():
                    disabled += await self._disable(connection, outcome)
            if picks:
                claimed = await repository.claim(connection, picks, self._lease, self._disable_after, due_before)
        return claimed, disabled

    async def _disable(self, connection: Any, outcome: Outcome) -> bool:
        assert outcome.disable is not None
        delivery = outcome.delivery
        done = await repository.disable(
            connection, delivery.key, outcome.disable, delivery.url, outcome.status_code, self._disable_after
        )
        if done:
            log.warning("webhook endpoint %s was disabled: %s", delivery.key[1], outcome.disable)
        return done

    def _start(self, picks: Sequence[tuple[Key, int]], claimed: Sequence[Delivery]) -> None:
        got: dict[Key, int] = {}
        loop = asyncio.get_running_loop()
        for delivery in claimed:
            got[delivery.key] = got.get(delivery.key, 0) + 1
        for key, asked in picks:
            self._lineup.claimed(key, asked, got.get(key, 0))
        for delivery in claimed:
            task = loop.create_task(self._request(delivery))
            self._requests[task] = loop.time()
            task.add_done_callback(self._ended)
        self.counters.claimed += len(claimed)

    async def _request(self, delivery: Delivery) -> None:
        well = False
        try:
            outcome = await self._sender.attempt(delivery)
            well = not outcome.unwell
            self._outcomes.append(outcome)
        finally:
            self._lineup.finished(delivery.key, well)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._requests.pop(task, None)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("a webhook request failed on our side", exc_info=task.exception())

    def _count(self, outcomes: Sequence[Outcome], disabled: int) -> None:
        counters = self.counters
        counters.attempts += len(outcomes)
        counters.disabled += disabled
        for outcome in outcomes:
            counters.delivered += outcome.status == "delivered"
            counters.retried += outcome.status == "pending"
            counters.exhausted += outcome.status == "exhausted"


def _distinct(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """(what one statement can write, the rest): a statement cannot change a row twice."""
    now: dict[Any, Outcome] = {}
    later: list[Outcome] = []
    for outcome in outcomes:
        if len(now) < _BATCH and outcome.delivery.id not in now:
            now[outcome.delivery.id] = outcome
        else:
            later.append(outcome)
    return list(now.values()), later


def _report(what: str, error: Exception) -> None:
    if isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("asyncpg"):
        log.warning("%s: the database is away (%s); trying again", what, type(error).__name__)
    else:
        log.error("%s failed; trying again", what, exc_info=error)
