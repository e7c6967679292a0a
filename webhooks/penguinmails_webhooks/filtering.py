"""Payload filters in the fan-out: which of the events that an endpoint is subscribed to it really wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penguinmails_core.kit.db import Connection
from penguinmails_webhooks.events import document
from penguinmails_webhooks.filter_repository import whole_events
from penguinmails_webhooks.filters import FilterCache

Match = tuple[Any, Any]
"""The rows of an endpoint and of an event that it is subscribed to."""


class Filtering:
    """Reads payloads only of events that some filter has to see; without filters it costs nothing."""

    def __init__(self) -> None:
        self._filters = FilterCache()

    async def passing(self, connection: Connection, matched: Sequence[Match]) -> list[Match]:
        """Those that their endpoint's filter lets through, in the same order."""
        asked = {event["id"]: event for endpoint, event in matched if endpoint["filter"] is not None}
        if not asked:
            return list(matched)
        rows = await whole_events(connection, list(asked.values()))
        documents = {row["id"]: document(row) for row in rows}
        return [
            (endpoint, event)
            for endpoint, event in matched
            if endpoint["filter"] is None or self._wanted(endpoint, documents[event["id"]])
        ]

    def _wanted(self, endpoint: Any, event: dict[str, Any]) -> bool:
        wanted = self._filters.get(endpoint["id"], endpoint["updated_at"], endpoint["filter"])
        return wanted(event)
