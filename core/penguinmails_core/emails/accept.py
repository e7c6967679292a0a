"""Group commit: concurrent accepts share one statement and one commit, and each gets its own verdict.

A caller is answered only after the commit, so an accepted message is on disk. One bad row never fails its neighbours:
a batch that the server refuses is halved until the culprit stands alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from penguinmails_core.emails.accept_sql import accept_statement
from penguinmails_core.errors import IdempotencyInFlight, IdempotencyMismatch, Internal, Problem, Unavailable
from penguinmails_core.kit import dry_run, trace
from penguinmails_core.kit.db import Pool

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
MAX_REQUESTS = 64  # beyond this nothing is gained but latency
MAX_MESSAGES = 200  # a batch larger than this only makes its neighbours wait
_RETRIES = 3


@dataclass(slots=True)
class MessageRows:
    """One message as rows for every table, in the column order of `accept_sql`."""

    message: Row
    recipients: Sequence[Row]
    events: Sequence[Row]
    content: Row
    blobs: Sequence[Row]
    attachments: Sequence[Row]


@dataclass(slots=True)
class AcceptRequest:
    """All messages of one HTTP request: they are accepted together or not at all.

    `key` and `fingerprint` are of the Idempotency-Key, `token` names this very request, and `status` and `response`
    are what a replay gets.
    """

    organization_id: UUID
    principal_id: UUID
    messages: Sequence[MessageRows]
    token: UUID
    key: str | None = None
    fingerprint: bytes | None = None
    status: int | None = None
    response: bytes | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fresh`: accepted now. Otherwise a replay: `same` tells whether the fingerprint agrees, and `status` and
    `response` are the stored answer."""

    fresh: bool
    same: bool | None
    status: int | None
    response: bytes | None


def checked(verdict: Verdict) -> Verdict:
    """Raises `IdempotencyMismatch` for a replay of another request."""
    if not verdict.fresh and not verdict.same:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for another request (method, path, query or body differ). "
            "Use a new key for a new request."
        )
    return verdict


class ContentSink(Protocol):
    """Where bodies go. `store` runs before the accept: it does nothing when rows ride along in the accept statement
    and data stays in PostgreSQL; it uploads data to an object store (and empties it in the rows); it writes the rows
    when the content tier has a server of its own. A crash after it leaves an orphan for the collector, never a message
    without a body. Raises `Unavailable`."""

    rides_along: bool

    async def store(self, rows: Sequence[MessageRows]) -> None: ...


@dataclass(slots=True)
class _Waiting:
    request: AcceptRequest
    future: asyncio.Future[Verdict]


@dataclass(slots=True)
class AcceptCounters:
    messages: int = 0
    batches: int = 0
    bisected: int = 0


def _arguments(requests: Sequence[AcceptRequest], with_content: bool) -> list[list[Row]]:
    heads: list[Row] = []
    messages: list[Row] = []
    recipients: list[Row] = []
    events: list[Row] = []
    for ord_, r in enumerate(requests):
        heads.append((ord_, r.organization_id, r.principal_id, r.key, r.fingerprint, r.token, r.status, r.response))
        o = (ord_,)
        for m in r.messages:
            messages.append(o + m.message)
            recipients.extend([o + row for row in m.recipients])
            events.extend([o + row for row in m.events])
    arguments = [heads, messages, recipients, events]
    if with_content:
        arguments += content_arguments(*((r.messages, ord_) for ord_, r in enumerate(requests)))
    return arguments


def content_arguments(*groups: tuple[Sequence[MessageRows], int]) -> list[list[Row]]:
    """Parameters of the content tier's inserts: messages with the ordinal of their request."""
    content: list[Row] = []
    blobs: list[Row] = []
    attachments: list[Row] = []
    for messages, ord_ in groups:
        o = (ord_,)
        for m in messages:
            content.append(o + m.content)
            blobs.extend([o + row for row in m.blobs])
            attachments.extend([o + row for row in m.attachments])
    return [content, blobs, attachments]


class Acceptor:
    """Accepts mail on the `ingest` pool. `on_accepted` rings the doorbell after each commit."""

    def __init__(
        self,
        pool: Pool,
        content: ContentSink,
        *,
        flushes: int = 2,
        on_accepted: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._content = content
        self._flushes = flushes
        self._on_accepted = on_accepted
        self._statement = accept_statement(with_content=content.rides_along)
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._in_flight: set[tuple[UUID, str]] = set()
        self.counters = AcceptCounters()

    def claim_key(self, principal_id: UUID, key: str) -> bool:
        """False when this process already works on the key. Keeps duplicates out of one batch; the caller must call
        `release_key` when its request has ended."""
        pair = (principal_id, key)
        if pair in self._in_flight:
            return False
        self._in_flight.add(pair)
        return True

    def release_key(self, principal_id: UUID, key: str) -> None:
        self._in_flight.discard((principal_id, key))

    async def accept_once(self, request: AcceptRequest) -> Verdict:
        """As `accept`. Raises `IdempotencyInFlight` while this process works on another request with the same key, and
        `IdempotencyMismatch` when an earlier one asked for something else."""
        if request.key is None:
            return await self.accept(request)
        if not self.claim_key(request.principal_id, request.key):
            raise IdempotencyInFlight(
                "A request with this Idempotency-Key is still being worked on. Try again in a moment.",
                headers={"Retry-After": "1"},
            )
        try:
            verdict = await self.accept(request)
        finally:
            self.release_key(request.principal_id, request.key)
        return checked(verdict)

    async def accept(self, request: AcceptRequest) -> Verdict:
        """Commit the request with its neighbours.

        Raises `Unavailable` when the database is away: then nothing is known to be stored, and a client that sent an
        Idempotency-Key can safely try again. In a rehearsal nothing is stored.
        """
        if dry_run.active():
            return Verdict(True, None, None, None)
        await self._content.store(request.messages)
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(request, future))
        self._schedule()
        # A caller that goes away cancels its future only: the batch commits, and nobody is told.
        return await future

    @property
    def busy(self) -> bool:
        """Whether requests wait for their commit."""
        return bool(self._queue or self._running)

    async def drain(self) -> None:
        """Wait until everything handed in so far has been answered."""
        while self.busy:
            if self._running:
                await asyncio.wait(set(self._running))
            await asyncio.sleep(0)

    def _schedule(self) -> None:
        if not self._scheduled and len(self._running) < self._flushes:
            self._scheduled = True
            # Requests that arrive in the same turn of the loop still make this batch.
            asyncio.get_running_loop().call_soon(self._launch)

    def _launch(self) -> None:
        self._scheduled = False
        if not self._queue or len(self._running) >= self._flushes:
            return
        batch: list[_Waiting] = []
        messages = 0
        while self._queue and len(batch) < MAX_REQUESTS:
            messages += len(self._queue[0].request.messages)
            if batch and messages > MAX_MESSAGES:
                break
            batch.append(self._queue.popleft())
        task = asyncio.get_running_loop().create_task(self._flush(batch))
        self._running.add(task)
        task.add_done_callback(self._flushed)
        if self._queue:
            self._schedule()

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._queue:
            self._schedule()

    async def _flush(self, batch: list[_Waiting]) -> None:
        try:
            verdicts = await self._commit([waiting.request for waiting in batch])
        except Problem as problem:
            _settle(batch, problem)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, UnicodeEncodeError) as error:
            await self._bisect(batch, error)
        except Exception:
            log.exception("accept: a batch of %d requests failed", len(batch))
            _settle(batch, Internal("The message could not be stored. Nothing was accepted; please try again."))
        else:
            for waiting, verdict in zip(batch, verdicts, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(verdict)
            self.counters.batches += 1
            fresh = [w for w, v in zip(batch, verdicts, strict=True) if v.fresh]
            self.counters.messages += sum(len(waiting.request.messages) for waiting in fresh)
            if fresh:
                self._on_accepted()

    async def _bisect(self, batch: list[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            log.error("accept: the database refused a message: %s", type(error).__name__)
            _settle(batch, Internal("The database refused this message. Nothing was accepted."))
            return
        self.counters.bisected += 1
        middle = len(batch) // 2
        await self._flush(batch[:middle])
        await self._flush(batch[middle:])

    async def _commit(self, requests: Sequence[AcceptRequest]) -> list[Verdict]:
        arguments = _arguments(requests, self._content.rides_along)
        for attempt in range(1, _RETRIES + 1):
            try:
                with trace.span("accept batch", requests=len(requests), try_number=attempt):
                    rows = await self._pool.fetch(self._statement, *arguments)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                if attempt == _RETRIES:
                    raise
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("accept: the database is away (%s)", type(error).__name__)
                raise Unavailable(
                    "The database is not reachable. Try again with the same Idempotency-Key.",
                    headers={"Retry-After": "1"},
                ) from None
            except asyncpg.OperatorInterventionError:  # the server is shutting down or starting
                raise Unavailable(
                    "The database is restarting. Try again with the same Idempotency-Key.",
                    headers={"Retry-After": "1"},
                ) from None
            else:
                return [Verdict(row["fresh"], row["same"], row["status"], row["response"]) for row in rows]
        raise AssertionError("unreachable")


def _settle(batch: Sequence[_Waiting], problem: Problem) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(problem)
            # A caller that left never looks; that is not worth a warning.
            waiting.future.exception()


__all__ = ["AcceptCounters", "AcceptRequest", "Acceptor", "ContentSink", "MessageRows", "Verdict", "checked"]
