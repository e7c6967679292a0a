"""Server-Sent Events (WHATWG HTML, "Server-sent events"): the event log as it grows.

Each event is one message: its id, and as data the very body that `GET /v1/events` and webhooks give. Messages of the
stream itself have an `event:` name, which the log's do not: `stream.ready` comes first and gives the id to go on from,
`stream.end` says why the server ended the stream. A comment line keeps proxies from ending a quiet connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, aclosing

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from penguinmails_api.context import RequestContext
from penguinmails_api.identity.bearer import still_lets_in
from penguinmails_api.responses import problem_document
from penguinmails_core.errors import Problem, TooManyStreams, Unavailable
from penguinmails_core.events import service
from penguinmails_core.events.repository import EventFilter, Position
from penguinmails_core.events.streams import Channel, Entry, EventStreams
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_webhooks.events import render

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = 15.0  # seconds between comment lines, and between looks at the credential
RETRY_MS = 2000  # how long clients wait before they reconnect
_PAGE = 100
_STALLED = 60.0  # seconds after which a client that reads nothing is given up
_BEAT = b": keep-alive\n\n"


class EventStream(Response):
    """`place`: where to go on. Raises `TooManyStreams`, and `Unavailable` when the process has no place for one."""

    media_type = MEDIA_TYPE

    def __init__(self, context: RequestContext, wanted: EventFilter, place: Position) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})  # nginx would hold events back
        del self.headers["content-length"]
        self._context = context
        self._wanted = wanted
        self._place = place
        self._holder: AbstractContextManager[Channel] = _enter(context)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = self._context
        with self._holder as channel:
            context.streaming_after = time.perf_counter() - context.started
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            gone = asyncio.create_task(_until_gone(receive))
            try:
                async with aclosing(self._chunks(channel, gone)) as chunks:
                    async for chunk in chunks:
                        if not await _send(send, chunk, gone):
                            return
                await send({"type": "http.response.body", "body": b""})
            finally:
                gone.cancel()

    async def _chunks(self, channel: Channel, gone: asyncio.Task[None]) -> AsyncGenerator[bytes]:
        context, streams = self._context, self._context.services.event_streams
        loop = asyncio.get_running_loop()
        ends = loop.time() + context.services.settings.api.stream_lifetime.total_seconds()
        beat, generation = loop.time() + HEARTBEAT, streams.generation
        yield self._ready()
        while True:
            changed, now = channel.changed, loop.time()
            if streams.closing or now >= ends:
                yield _end("restart" if streams.closing else "lifetime", "Reconnect to go on; nothing is missed.")
                return
            if now >= beat or generation != streams.generation:
                generation = streams.generation
                problem = await still_lets_in(context)
                if problem is not None:
                    yield _refused(problem, context.request_id)
                    return
            if now >= beat:
                beat = now + HEARTBEAT
                yield _BEAT
            chunk, caught_up = await self._next(channel)
            if chunk:
                beat = loop.time() + HEARTBEAT
                yield chunk
            elif caught_up:
                await _rest(changed, gone, min(beat, ends) - loop.time())
                if gone.done():
                    return

    async def _next(self, channel: Channel) -> tuple[bytes, bool]:
        """(what comes after the place, whether that was all there is), and moves the place."""
        context = self._context
        entries = channel.since(self._place, _PAGE)
        if entries is None:
            return await self._catch_up()
        if entries:
            self._place = entries[-1].position
        caller = context.caller
        return _messages([entry for entry in entries if entry.wanted_by(caller, self._wanted)]), not entries

    async def _catch_up(self) -> tuple[bytes, bool]:
        context = self._context
        caller = context.caller
        try:
            async with context.services.database.tenant(caller.organization_id) as session:
                rows, place = await service.read_on(session, caller, self._wanted, after=self._place, limit=_PAGE)
        except Exception:  # the database restarts: the reader of the channel says so in the log
            return b"", True
        moved, self._place = place > self._place, place
        return b"".join(_message(row["id"], render(row)) for row in rows), not moved

    def _ready(self) -> bytes:
        cursor = cursors.encode_position(*self._place)
        data = orjson.dumps({"after": cursor})
        return b"retry: %d\nid: %s\nevent: stream.ready\ndata: %s\n\n" % (RETRY_MS, cursor.encode(), data)


def _enter(context: RequestContext) -> AbstractContextManager[Channel]:
    streams: EventStreams = context.services.event_streams
    settings, caller = context.services.settings.api, context.caller
    if streams.held_by(caller.id) >= settings.streams_per_key:
        raise TooManyStreams(
            f"This key holds {settings.streams_per_key} event streams open, which is as many as it may.",
            headers={"Retry-After": "15"},
            extra={"limit": settings.streams_per_key},
        )
    if streams.closing or streams.open >= settings.streams:
        raise Unavailable(
            "This process has no place for one more event stream. Try again, or follow GET /v1/events.",
            headers={"Retry-After": "5"},
        )
    return streams.listen(caller.organization_id, caller.id)


async def _rest(changed: asyncio.Event, gone: asyncio.Task[None], seconds: float) -> None:
    """Until something changes, the client goes, or the time is over."""
    change = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait({change, gone}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, chunk: bytes, gone: asyncio.Task[None]) -> bool:
    """False when the client has gone, or has read nothing for a minute. Until it reads there is no next chunk: what a
    slow client costs is this one and the socket's buffer."""
    if gone.done():
        return False
    sending = asyncio.ensure_future(send({"type": "http.response.body", "body": chunk, "more_body": True}))
    try:
        await asyncio.wait({sending, gone}, timeout=_STALLED, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not sending.done():
            sending.cancel()
    return sending.done() and not sending.cancelled() and sending.exception() is None and not gone.done()


def _messages(entries: Sequence[Entry]) -> bytes:
    return b"".join(_message(entry.position.id, entry.body) for entry in entries)


def _message(event_id: object, body: bytes) -> bytes:
    """JSON as we write it has no line break, so it is one line of data."""
    return b"id: %s\ndata: %s\n\n" % (ids.encode(Prefix.EVENT, event_id).encode(), body)  # type: ignore[arg-type]


def _end(code: str, detail: str) -> bytes:
    return b"event: stream.end\ndata: %s\n\n" % orjson.dumps({"code": code, "detail": detail})


def _refused(problem: Problem, request_id: str) -> bytes:
    """The problem that a new request would get."""
    return b"event: stream.end\ndata: %s\n\n" % orjson.dumps(problem_document(problem, request_id))
