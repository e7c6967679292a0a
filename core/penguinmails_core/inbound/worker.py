"""Handlers are told what came: after the commit, at least once, again until they succeed or it is given up.

Each handler of a message is on its own: one that fails is tried again alone, and one that succeeded is not called
again. A worker that dies leaves a lease that runs out; the message is then handled again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from penguinmails_core.config import InboundSettings
from penguinmails_core.events.types import EventType
from penguinmails_core.inbound import handling_sql
from penguinmails_core.inbound.receiver import message_data
from penguinmails_core.inbound.records import Discard, InboundHandler, ReceivedMessage
from penguinmails_core.kit.db import FAILED, Database
from penguinmails_core.kit.doorbell import EVENTS, INBOUND, Doorbell
from penguinmails_core.kit.ids import new_uuid

log = logging.getLogger(__name__)

WAITS = (5, 30, 120, 600, 1800, 3600, 7200, 21600, 43200)  # seconds after each failed attempt; then it is given up
_MARGIN = timedelta(seconds=15)  # a handler ends so long before its lease
_LEAST_MARGIN_SHARE = 0.8
_MAX_ERROR = 500
_RETRY_LEAST, _RETRY_MOST = 0.1, 5.0


class InboundWorker:
    """`run` until `stop`, or `run_once` for what is due now. `scale` multiplies `WAITS`."""

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        settings: InboundSettings,
        handlers: Sequence[InboundHandler],
        *,
        scale: float = 1.0,
        rng: random.Random | None = None,
    ) -> None:
        self._pool = database.worker
        self._doorbell = doorbell
        self._handlers = {handler.name: handler for handler in handlers}
        self._concurrency = settings.concurrency
        self._lease = settings.lease
        self._timeout = max(settings.lease - _MARGIN, settings.lease * _LEAST_MARGIN_SHARE).total_seconds()
        self._poll = settings.poll.total_seconds()
        self._scale = scale
        self._rng = rng or random.Random()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`. When cancelled it drops everything at once, as a crash would."""
        pause = _RETRY_LEAST
        try:
            while not self._stopping:
                try:
                    started = await self._start()
                    pause = _RETRY_LEAST
                except FAILED as error:
                    log.warning("inbound: the database is away (%s); trying again", type(error).__name__)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _RETRY_MOST)
                    continue
                if len(self._tasks) >= self._concurrency:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                elif not started:
                    await self._doorbell.wait(INBOUND, self._poll)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self, grace: float = 5.0) -> None:
        """Claims nothing more and waits up to `grace` seconds for handlers under way."""
        self._stopping = True
        self._doorbell.ring(INBOUND)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)

    async def run_once(self) -> int:
        """Handles what is due at this moment; how many messages that were."""
        rows = await handling_sql.claim(self._pool, self._concurrency, self._lease)
        for row in rows:
            await self._handle(row)
        return len(rows)

    async def _start(self) -> int:
        free = self._concurrency - len(self._tasks)
        rows = await handling_sql.claim(self._pool, free, self._lease) if free else ()
        for row in rows:
            task = asyncio.create_task(self._handle(row), name="inbound message")
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return len(rows)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("inbound: the outcome of a message was not written; it comes again", exc_info=error)

    async def _handle(self, row: Any) -> None:
        states: dict[str, Any] = {name: dict(state) for name, state in row["handlers"].items()}
        waiting = [name for name, state in states.items() if state["status"] == "pending"]
        await asyncio.gather(*(self._tell(name, states[name], row) for name in waiting))
        left = [state["attempts"] for state in states.values() if state["status"] == "pending"]
        failed = {name: state["error"] for name, state in states.items() if state["status"] == "failed"}
        wait = self._wait(max(left)) if left else None
        status = "pending" if left else ("failed" if failed else "processed")
        async with self._pool.acquire() as connection, connection.transaction():
            told = status == "failed"
            sequence = await handling_sql.record(connection, row, states, status, wait, told=told)
            if told and sequence is not None:
                payload = message_data(row["source_id"], row["source_name"] or "", row) | {"errors": failed}
                event = str(EventType.INBOUND_FAILED)
                await handling_sql.tell(connection, row, new_uuid(), event, sequence, payload)
        if told:
            self._doorbell.ring(EVENTS)

    async def _tell(self, name: str, state: dict[str, Any], row: Any) -> None:
        """One attempt; changes `state`."""
        state["attempts"] += 1
        handler = self._handlers.get(name)
        if handler is None:
            state |= {"status": "failed", "error": f"this server has no handler {name} any more"}
            return
        try:
            async with asyncio.timeout(self._timeout):
                await handler.handle(_message(row, state["attempts"]))
        except Discard as error:
            state |= {"status": "failed", "error": _text(str(error) or "discarded")}
        except Exception as error:
            slow = isinstance(error, TimeoutError)
            what = f"no end within {self._timeout:.0f} s" if slow else f"{type(error).__name__}: {error}"
            log.warning("inbound: handler %s failed on message %s: %s", name, row["id"], type(error).__name__)
            given_up = state["attempts"] > len(WAITS)
            state |= {"status": "failed" if given_up else "pending", "error": _text(what)}
        else:
            state |= {"status": "done", "error": None}

    def _wait(self, attempts: int) -> timedelta:
        seconds = WAITS[min(attempts, len(WAITS)) - 1]
        return timedelta(seconds=seconds * self._scale * self._rng.uniform(0.9, 1.1))


def _message(row: Any, attempt: int) -> ReceivedMessage:
    return ReceivedMessage(
        organization_id=row["organization_id"],
        workspace_id=row["workspace_id"],
        mode=row["mode"],
        id=row["id"],
        source_id=row["source_id"],
        source_name=row["source_name"] or "",
        scheme=row["scheme"],
        event=row["event"],
        delivery_id=row["delivery_id"],
        headers=row["headers"],
        body=row["body"],
        received_at=row["received_at"],
        attempt=attempt,
    )


def _text(text: str) -> str:
    """What a JSON column can hold, in a length that people read."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:_MAX_ERROR]
