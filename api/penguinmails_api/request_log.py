"""Requests on their way into the request log: noted in memory at once, written in bulk later.

Hot: a request pays for one tuple and one append. What is written of it is worked out in the flush, every second, on a
connection of its own, so neither the request nor the accept path ever waits for the log. The tuple holds little: a
second's worth of whole requests would be walked through by every garbage collection. When the database is away or slow
the queue drops its oldest and counts them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from penguinmails_api.client_address import ClientAddresses
from penguinmails_api.context import RequestContext
from penguinmails_core.config import RequestLogSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import AWAY, Pool, create_pool
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.kit.tasks import end
from penguinmails_core.principal import Principal
from penguinmails_core.register import WORKER_ROLE
from penguinmails_core.request_logs import repository
from penguinmails_core.request_logs.repository import Row
from penguinmails_core.request_logs.service import shown_address

log = logging.getLogger(__name__)

FLUSH_EVERY = 1.0  # seconds
_BATCH = 500  # rows of one statement: a few milliseconds of the loop
_STOP_SECONDS = 5.0

# caller, request id, code of the problem, address, method, route, status, seconds
Noted = tuple[Principal, str, str | None, str, str, str, int, float]


class RequestLog:
    """`await start()` before use, `await stop()` at the end: it writes what is left. `dropped` counts what was lost."""

    def __init__(self, dsn: str, addresses: ClientAddresses, settings: RequestLogSettings) -> None:
        self._dsn = dsn
        self._addresses = addresses
        self._settings = settings
        self._queue: deque[Noted] = deque(maxlen=settings.buffer)
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None
        self._warned = False
        self.dropped = 0
        self.written = 0

    async def start(self) -> None:
        if self._settings.enabled:
            self._pool = await create_pool(self._dsn, WORKER_ROLE, size=1, name="request log")
            self._task = asyncio.create_task(self._flush_regularly(), name="request log")

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def enabled(self) -> bool:
        return self._settings.enabled

    def add(self, context: RequestContext, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request of somebody who is known. Errors are always kept, successes as `sample` says."""
        if status < 400 and self._settings.sample < 1 and random.random() >= self._settings.sample:
            return
        queue = self._queue
        if len(queue) == queue.maxlen:
            self.dropped += 1
        address = self._addresses.of(context.scope)
        noted = (context.caller, context.request_id, context.error_code, address, method, route, status, seconds)
        queue.append(noted)

    async def stop(self) -> None:
        await end(self._task)
        self._task = None
        if self._pool is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self.flush()
        self.dropped += len(self._queue)
        self._queue.clear()
        pool, self._pool = self._pool, None
        try:
            await asyncio.wait_for(pool.close(), _STOP_SECONDS)
        except TimeoutError:
            pool.terminate()

    async def flush(self) -> None:
        """Write what is noted. What cannot be written because the database is away waits for the next time."""
        assert self._pool is not None
        queue = self._queue
        for _ in range(-(-len(queue) // _BATCH)):
            batch = [queue.popleft() for _ in range(min(_BATCH, len(queue)))]
            if not batch:
                return
            try:
                await repository.insert(self._pool, [self._row(noted) for noted in batch])
            except AWAY as error:
                self._put_back(batch, error)
                return
            except asyncpg.PostgresError as error:
                self.dropped += len(batch)
                log.error("request log: %d entries were refused (%s)", len(batch), type(error).__name__)
            else:
                self.written += len(batch)
                self._warned = False

    def _put_back(self, batch: Sequence[Noted], error: Exception) -> None:
        queue = self._queue
        room = (queue.maxlen or 0) - len(queue)
        kept = batch[len(batch) - room :] if room < len(batch) else batch
        self.dropped += len(batch) - len(kept)
        queue.extendleft(reversed(kept))
        if not self._warned:
            self._warned = True
            log.warning("request log: the database is away (%s)", type(error).__name__)

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("request log: a flush failed")

    def _row(self, noted: Noted) -> Row:
        principal, shown_id, error_code, address, method, route, status, seconds = noted
        request_id = ids.decode(Prefix.REQUEST, shown_id)
        return Row(
            principal.organization_id,
            request_id,
            repository.time_of(request_id),
            principal.workspace_id,
            principal.mode,
            method[:20],
            route,
            status,
            error_code,
            min(int(seconds * 1e6), 2**31 - 1),
            str(principal.kind),
            principal.id,
            principal.user_id,
            principal.app_id,
            shown_address(address, self._settings.ip),
        )


def measure(rounds: int = 200_000) -> float:
    """Seconds that a request pays for being noted; `python -m penguinmails_api.request_log` prints it."""
    queue = RequestLog("", ClientAddresses(), RequestLogSettings(buffer=10_000))
    context = RequestContext("req_01kaz6yzwhe1xrqm3c8s4q3m8r", None, 0.0, {"client": ("192.0.2.1", 1)})  # type: ignore[arg-type]
    context.principal = Principal(ids.new_uuid(), ids.new_uuid(), None, ids.new_uuid(), "live", frozenset())
    started = time.perf_counter()
    for _ in range(rounds):
        queue.add(context, "POST", "/v1/emails", 202, 0.001)
    return (time.perf_counter() - started) / rounds


if __name__ == "__main__":
    print(f"{measure() * 1e9:.0f} ns a request")  # noqa: T201
