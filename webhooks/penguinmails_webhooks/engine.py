"""The delivery engine: reads the event log, writes what is owed, sends what is due.

Four loops. *Fan-out* turns events into deliveries. *Claims* takes what is due and starts the requests; no transaction
is open while one runs. *Outcomes* writes down what became of them. *Probes* tries endpoints that were disabled because
they failed. Any number of processes may run it. A worker that
dies leaves leases that run out; the event is then sent again with the same `webhook-id` (at least once).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import EVENTS, WEBHOOKS, Doorbell
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_webhooks.claims import Claimer
from penguinmails_webhooks.delivery import Sender
from penguinmails_webhooks.destinations.registry import Destinations
from penguinmails_webhooks.fairness import Lineup
from penguinmails_webhooks.fanout import Fanout, Round
from penguinmails_webhooks.outcomes import Recorder, Written
from penguinmails_webhooks.policy import Policy
from penguinmails_webhooks.probes import Prober
from penguinmails_webhooks.records import Delivery

log = logging.getLogger(__name__)

_SLOW = 2.0  # seconds after which a request does not count against `concurrency` any more
_SLOW_SHARE = 4  # how many times `concurrency` may be waiting in all
_PROBE_EVERY = 5.0  # seconds between looks for disabled endpoints that are to be tried
_RETRY_LEAST, _RETRY_MOST = 0.1, 5.0  # seconds to wait while the database is away


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
    enabled: int = 0


class WebhookEngine:
    """`run` until `stop`, or `run_once` for one round. Without `http` it makes a client by the settings, and closes
    it."""

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        doorbell: Doorbell,
        settings: WebhookSettings,
        http: OutgoingHttp | None = None,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.counters = Counters()
        self._pool = database.worker
        self._doorbell = doorbell
        self._concurrency = settings.concurrency
        self._poll = settings.poll.total_seconds()
        # A lease that ran out under a request that may still be answered would send the event twice.
        lease = max(settings.lease, timedelta(seconds=settings.timeout * 2))
        most = settings.concurrency * _SLOW_SHARE
        self._own_http = http is None
        self._http = http or OutgoingHttp(
            allow_private=settings.allow_private,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            limit=most,
            limit_per_host=most,
        )
        rng, policy = rng or random.Random(), Policy.of(settings)
        destinations = Destinations(self._http, allow_private=settings.allow_private, timeout=settings.timeout)
        self._sender = Sender(self._http, secret_box, scale=settings.retry_scale, rng=rng, destinations=destinations)
        self._fanout = Fanout(database.worker)
        self._lineup = Lineup(settings.endpoint_concurrency)
        self._claimer = Claimer(database.worker, self._lineup, policy, lease=lease, poll=self._poll)
        self._recorder = Recorder(database.worker, policy, rng)
        self._prober = Prober(database.worker, self._sender, policy, lease)
        self._probe_every = min(_PROBE_EVERY, max(settings.probe_after.total_seconds(), 0.01))
        self._requests: dict[asyncio.Task[None], float] = {}
        self._wake = asyncio.Event()  # something may be claimed
        self._ended = asyncio.Event()  # a request has ended
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
            asyncio.create_task(self._claim_forever(), name="webhook claims"),
            asyncio.create_task(self._probe_forever(), name="webhook probes"),
            asyncio.create_task(self._listen(), name="webhook bell"),
        ]
        try:
            await self._record_forever()
        finally:
            for task in (*helpers, *self._requests):
                task.cancel()
            await asyncio.gather(*helpers, *self._requests, return_exceptions=True)
            self._requests.clear()
            await self._sender.close()
            if self._own_http:
                await self._http.close()
            self._running.set()

    async def stop(self, grace: float = 5.0) -> None:
        """Claims nothing more, waits up to `grace` seconds for requests under way and writes their outcomes. What has
        not ended by then is sent again when its lease is over."""
        self._stopping = True
        self._wake.set()
        self._ended.set()
        running, loop = self._running, asyncio.get_running_loop()
        if running is None:
            await self._sender.close()
            if self._own_http:
                await self._http.close()
            return
        end = loop.time() + grace
        while self._requests and loop.time() < end:
            await asyncio.wait(list(self._requests), timeout=end - loop.time())
        for task in list(self._requests):
            task.cancel()
        self._ended.set()
        await running.wait()

    async def run_once(self) -> None:
        """Reads the log to its end, then sends everything that was due at that moment, and writes the outcomes."""
        while await self._fan_out():
            pass
        moment = await self._pool.fetchval("select clock_timestamp()")
        await self._look()
        while True:
            await self._write()
            claimed = await self._claimer.take(self._free(), moment)
            self._start(claimed)
            if self._requests:
                await asyncio.wait(list(self._requests), return_when=asyncio.FIRST_COMPLETED)
            elif not claimed and not len(self._recorder):
                return

    # Fan-out

    async def _fan_out(self) -> bool:
        """One page of the log; True when there is more."""
        page = await self._fanout.round()
        self._told_of(page)
        if page.more and page.read:  # others must not wait for the end of a long backlog
            self._told_of(await self._fanout.express())
        return page.more

    def _told_of(self, page: Round) -> None:
        self.counters.events += page.read
        self.counters.owed += page.created
        if page.owed:
            self._claimer.owed(page.owed.items())
            self._wake.set()
            self._doorbell.ring(WEBHOOKS)

    async def _fan_out_forever(self) -> None:
        async def work() -> None:
            if not await self._fan_out():
                await self._doorbell.wait(EVENTS, self._poll)

        await self._go_on("reading the event log", work, lambda: not self._stopping)

    async def _listen(self) -> None:
        while True:
            if await self._doorbell.wait(WEBHOOKS, 60):
                self._claimer.hasten()
                self._wake.set()

    # Claims

    async def _look(self) -> None:
        await self._claimer.look()
        self.counters.cancelled = self._claimer.cancelled

    async def _claim_forever(self) -> None:
        async def work() -> None:
            self._wake.clear()
            if asyncio.get_running_loop().time() >= self._claimer.look_at:
                await self._look()
            claimed = await self._claimer.take(self._free())
            if self._stopping:
                return  # the leases run out
            self._start(claimed)
            if not claimed:
                await self._rest()

        await self._go_on("claiming webhook deliveries", work, lambda: not self._stopping)

    async def _rest(self) -> None:
        """Until a request ends, a bell rings, or something becomes due."""
        now = asyncio.get_running_loop().time()
        due = self._lineup.next_due()
        until = min(self._claimer.look_at, now + self._poll, *((due,) if due is not None else ()))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(until - now, 0.001))

    def _free(self) -> int:
        """Requests that may be started. Receivers that hang cost a socket, not the turn of those that answer."""
        now = asyncio.get_running_loop().time()
        quick = sum(1 for started in self._requests.values() if now - started < _SLOW)
        return min(self._concurrency - quick, self._concurrency * _SLOW_SHARE - len(self._requests))

    def _start(self, claimed: Sequence[Delivery]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for delivery in claimed:
            task = loop.create_task(self._request(delivery))
            self._requests[task] = now + delivery.delay
            task.add_done_callback(self._request_ended)
        self.counters.claimed += len(claimed)

    async def _request(self, delivery: Delivery) -> None:
        well = False
        try:
            if delivery.delay:
                await asyncio.sleep(delivery.delay)
            outcome = await self._sender.attempt(delivery)
            well = not outcome.unwell
            self._recorder.add(outcome)
        finally:
            self._lineup.finished(delivery.key, well)

    def _request_ended(self, task: asyncio.Task[None]) -> None:
        self._requests.pop(task, None)
        self._wake.set()
        self._ended.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("a webhook request failed on our side", exc_info=task.exception())

    # Outcomes

    async def _record_forever(self) -> None:
        async def work() -> None:
            if not len(self._recorder):
                self._ended.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), self._poll)
            await self._write()

        def going() -> bool:
            return not self._stopping or bool(self._requests) or len(self._recorder) > 0

        await self._go_on("writing outcomes of webhooks", work, going)

    async def _write(self) -> None:
        written = await self._recorder.write(keep_plans=self._claimer.keep_plans)
        self._count(written)
        for key, seconds, gated in written.again:
            self._claimer.due(key, seconds, gated=gated)
        if written.again:
            self._wake.set()
        if written.events:
            self._doorbell.ring(EVENTS)

    def _count(self, written: Written) -> None:
        counters = self.counters
        counters.attempts += len(written.outcomes)
        counters.disabled += written.disabled
        for outcome in written.outcomes:
            counters.delivered += outcome.status == "delivered"
            counters.retried += outcome.status == "pending"
            counters.exhausted += outcome.status == "exhausted"

    # Probes

    async def probe(self) -> int:
        """Try endpoints that were disabled because they failed, when it is time; returns how many were tried."""
        before, tried = self._prober.enabled, await self._prober.round()
        if self._prober.enabled > before:
            self.counters.enabled += self._prober.enabled - before
            self._doorbell.ring(EVENTS)
        return tried

    async def _probe_forever(self) -> None:
        async def work() -> None:
            if not await self.probe():
                await asyncio.sleep(self._probe_every)

        await self._go_on("trying disabled webhook endpoints", work, lambda: not self._stopping)

    async def _go_on(self, what: str, work: Callable[[], Awaitable[None]], going: Callable[[], bool]) -> None:
        """Again and again, while `going`; after a failure a little later."""
        pause = _RETRY_LEAST
        while going():
            try:
                await work()
                pause = _RETRY_LEAST
            except Exception as error:
                _report(what, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MOST)
                if self._stopping and pause >= _RETRY_MOST:
                    return  # what is lost are outcomes, not leases: at least once


def _report(what: str, error: Exception) -> None:
    if isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("asyncpg"):
        log.warning("%s: the database is away (%s); trying again", what, type(error).__name__)
    else:
        log.error("%s failed; trying again", what, exc_info=error)
