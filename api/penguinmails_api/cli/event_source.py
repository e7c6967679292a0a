"""The event log as commands follow it: from any point on, nothing skipped, nothing twice, across restarts of the
server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import typer

_LONGEST_WAIT = 30.0  # seconds between looks at a server that does not answer


class EventSource:
    """``for event in source``: events as they were sent, as dicts. `cursor`: the last one that was given out."""

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
        self.cursor = after

    def skip_to_end(self) -> None:
        """Go on with what happens from now on."""
        while True:
            page = self._page()
            if page["data"]:
                self.cursor = page["data"][-1]["id"]
            if not page["has_more"]:
                return

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Ends at the end of the log, or never when it follows. Raises the SDK's errors, but for a server that is away
        while it follows."""
        while True:
            page = self._patient_page() if self._follow else self._page()
            for event in page["data"]:
                yield event
                self.cursor = event["id"]
            if not page["has_more"]:
                if not self._follow:
                    return
                time.sleep(self._interval)

    def _page(self) -> dict[str, Any]:
        query: dict[str, Any] = {"after": self.cursor} if self.cursor else {}
        if self._types:
            query["types"] = self._types
        answer = self._client.events.with_raw_response.list(limit=100, **query)
        page: dict[str, Any] = answer.http_response.json()
        return page

    def _patient_page(self) -> dict[str, Any]:
        from penguinmails import APIConnectionError, InternalServerError, RateLimitError

        wait = self._interval
        while True:
            try:
                page = self._page()
            except (APIConnectionError, InternalServerError, RateLimitError) as error:
                if wait == self._interval:
                    typer.echo(f"penguinmails: {error}; trying again", err=True)
                wait = min(wait * 2, _LONGEST_WAIT)
                time.sleep(wait)
            else:
                if wait != self._interval:
                    typer.echo("penguinmails: the server answers again", err=True)
                return page
