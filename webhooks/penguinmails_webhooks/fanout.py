"""From events to deliveries: who is owed what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from penguinmails_core.events.cursor import EventCursor
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Pool
from penguinmails_webhooks import repository
from penguinmails_webhooks.events import matches
from penguinmails_webhooks.records import Key

CONSUMER = "webhooks"
_ROWS = 5000  # of one statement


@dataclass(frozen=True, slots=True)
class Round:
    """`owed`: the endpoints that have something new."""

    read: int
    created: int
    owed: frozenset[Key]
    more: bool


class Fanout:
    """Reads the log from its beginning, since an endpoint only gets what happened after it was made."""

    def __init__(self, pool: Pool, *, page: int = 1000) -> None:
        self._cursor = EventCursor(pool, CONSUMER, start="beginning")
        self._page = page

    async def round(self) -> Round:
        """One page of events, with its deliveries, in one transaction."""
        async with self._cursor.read(self._page) as batch:
            created, owed = 0, []
            events = [event for event in batch.events if event["type"] != EventType.WEBHOOK_TEST]
            if events:  # endpoints are read in every round: one that was just made must not miss its first event
                organizations = {event["organization_id"] for event in events}
                owed = _match(events, await repository.listening(batch.connection, organizations))
            for start in range(0, len(owed), _ROWS):
                created += await repository.owe(batch.connection, owed[start : start + _ROWS])
            keys = frozenset((organization, endpoint) for organization, endpoint, _ in owed)
        return Round(len(batch.events), created, keys, batch.more)


def _match(events: Sequence[Any], endpoints: Sequence[Any]) -> list[tuple[UUID, UUID, Any]]:
    """(organization, endpoint, event) for every event that an endpoint asked for, in the order of the events."""
    by_tenant = defaultdict(list)
    for endpoint in endpoints:
        by_tenant[endpoint["organization_id"], endpoint["mode"]].append((endpoint, tuple(endpoint["events"])))
    found = []
    for event in events:
        organization = event["organization_id"]
        for endpoint, patterns in by_tenant.get((organization, event["mode"]), ()):
            if (
                _wanted(patterns, event["type"])
                and endpoint["created_at"] <= event["created_at"]
                and endpoint["workspace_id"] in (None, event["workspace_id"])
            ):
                found.append((organization, endpoint["id"], event))
    return found


@lru_cache(maxsize=65536)
def _wanted(patterns: tuple[str, ...], event_type: str) -> bool:
    return matches(patterns, event_type)
