"""The event log as commands follow it: from any point on, nothing skipped, nothing twice, across restarts of the
server. Listed page by page up to its end, then streamed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import httpx

_LONGEST_WAIT = 30.0  # seconds between looks at a server that does not answer
_SILENCE = 60.0  # seconds; the stream says something every 15


class EventSource:
    """``for event in source``: events as they were sent, as dicts. `cursor`: where to go on after the last one that was
    given out. `interval`: seconds between looks, where the server has no stream."""

    def __init__(
        self,
        client: Any,
        *,
        types: Sequence[str] = (),
        after: str | None = None,
        follow: bool = True,
        interval: float = 1.0,
    ) -> None:
        self._client = client
        self._types = list(types)
        self._follow = follow
        self._interval = interval
        self._wait = interval
        self._streams = True
        self.cursor = after

    def skip_to_end(self) -> None:
        """Go on with what happens from now on."""
        import httpx

        with suppress(httpx.TransportError):  # the list says it better
            for _ in self._stream(until_ready=True):
                return
        for _ in self._listed():
            pass

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Ends at the end of the log, or never when it follows. Raises the SDK's errors, but for a server that is away
        while it follows."""
        while True:
            yield from self._patiently(self._listed)
            if not self._follow:
                return
            if self._streams and self.cursor is not None:
                yield from self._patiently(self._stream)
            else:
                time.sleep(self._interval)

    def _patiently(self, read: Any) -> Iterator[dict[str, Any]]:
        """What `read` gives; a server that is away costs a pause, not the rest."""
        if not self._follow:
            yield from read()
            return
        import httpx
        from penguinmails import APIConnectionError, InternalServerError, RateLimitError

        try:
            for event in read():
                self._answers()
                yield event
            self._answers()
        except (APIConnectionError, InternalServerError, RateLimitError, httpx.TransportError) as error:
            if self._wait == self._interval:
                typer.echo(f"penguinmails: {error or type(error).__name__}; trying again", err=True)
            self._wait = min(self._wait * 2, _LONGEST_WAIT)
            time.sleep(self._wait)

    def _answers(self) -> None:
        if self._wait != self._interval:
            typer.echo("penguinmails: the server answers again", err=True)
            self._wait = self._interval

    def _listed(self) -> Iterator[dict[str, Any]]:
        """Page by page, up to the end of the log."""
        while True:
            query: dict[str, Any] = {"after": self.cursor} if self.cursor else {}
            if self._types:
                query["types"] = self._types
            answer = self._client.events.with_raw_response.list(limit=100, **query)
            page: dict[str, Any] = answer.http_response.json()
            for event in page["data"]:
                yield event
                self.cursor = event["id"]
            if not page["has_more"]:
                return

    def _stream(self, until_ready: bool = False) -> Iterator[dict[str, Any]]:
        """`GET /v1/events/stream` until it ends. Where there is none, nothing; the list says why."""
        with self._open() as response:
            if response.status_code != 200:
                self._streams = response.status_code not in (404, 405, 429)  # 429: too many; a key has ten
                return
            for name, place, text in _messages(response.iter_lines()):
                if name is None:
                    yield json.loads(text)
                elif name == "stream.end":
                    return
                if place and (name is None or self.cursor is None):  # an id of an event says more than a place
                    self.cursor = place
                if until_ready and name == "stream.ready":
                    yield {}
                    return

    def _open(self) -> Any:
        """The SDK has no stream; its connection, address and key serve."""
        import httpx

        transport = self._client._transport
        key = transport.api_key if isinstance(transport.api_key, str) else transport.api_key()
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        if self.cursor:
            headers["Last-Event-ID"] = self.cursor
        http: httpx.Client = transport.http
        url = transport.settings.base_url.rstrip("/") + "/v1/events/stream"
        timeout = httpx.Timeout(10, read=_SILENCE)
        return http.stream("GET", url, params={"types": self._types}, headers=headers, timeout=timeout)


def _messages(lines: Iterator[str]) -> Iterator[tuple[str | None, str | None, str]]:
    """(event, id, data) of each message (HTML Living Standard, "Server-sent events"); comments are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield fields.get("event"), fields.get("id"), fields["data"]
            fields = {}
