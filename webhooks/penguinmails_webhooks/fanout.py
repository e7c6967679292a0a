"""From events to deliveries: who is owed what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from penguinmails_core.events.cursor import EventCursor
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.webhook_endpoints.pace import Fifo
from penguinmails_webhooks import repository
from penguinmails_webhooks.events import matches
from penguinmails_webhooks.express import Express, Made
from penguinmails_webhooks.filtering import Filtering, Match
from penguinmails_webhooks.records import Key
from penguinmails_webhooks.repository import Owed

CONSUMER = "webhooks"
_ROWS = 5000  # of one statement
_ALL = "endpoint"  # the key of everything, where an endpoint wants one order
_PAYLOAD_KEYS = (Fifo.EMAIL_ID.value, Fifo.CONTACT_ID.value)


@dataclass(frozen=True, slots=True)
class Round:
    """`owed`: the endpoints that have something new, and whether they are gated."""

    read: int
    created: int
    owed: Mapping[Key, bool]
    more: bool


class Fanout:
    """Reads the log from its beginning, since an endpoint only gets what happened after it was made."""

    def __init__(self, pool: Pool, *, page: int = 1000) -> None:
        self._cursor = EventCursor(pool, CONSUMER, start="beginning")
        self._page = page
        self._filtering = Filtering()
        self._express = Express(pool, CONSUMER, partial(self._owe, ordered=False))

    async def round(self) -> Round:
        """One page of events, with its deliveries, in one transaction."""
        async with self._cursor.read(self._page) as batch:
            created, keys = await self._owe(batch.connection, batch.events)
        if not batch.more:
            self._express.caught_up()
        return Round(len(batch.events), created, keys, batch.more)

    async def express(self) -> Round:
        """For when there is more: the first of what waits, of every tenant."""
        created, keys = await self._express.round()
        return Round(0, created, keys, more=True)

    async def _owe(self, connection: Connection, rows: Sequence[Any], *, ordered: bool = True) -> Made:
        """Without `ordered` nothing is made for endpoints that keep an order."""
        created = 0
        matched: list[Match] = []
        events = [event for event in rows if event["type"] != EventType.WEBHOOK_TEST]
        if events:  # endpoints are read in every round: one that was just made must not miss its first event
            organizations = {event["organization_id"] for event in events}
            endpoints = await repository.listening(connection, organizations)
            matched = _match(events, [endpoint for endpoint in endpoints if ordered or endpoint["fifo"] is None])
            matched = await self._filtering.passing(connection, matched)
        for start in range(0, len(matched), _ROWS):
            owed = await _in_order(connection, matched[start : start + _ROWS])
            created += await repository.owe(connection, owed)
        return created, {(event["organization_id"], endpoint["id"]): endpoint["gated"] for endpoint, event in matched}


def _match(events: Sequence[Any], endpoints: Sequence[Any]) -> list[Match]:
    """(endpoint, event) for every event that an endpoint is subscribed to, in the order of the events.

    None is told of itself: it would be sent the news of its own creation, and each of its failures would bring another
    one. But that it is enabled again, since whoever hears it can ask for what was missed.
    """
    by_tenant = defaultdict(list)
    for endpoint in endpoints:
        by_tenant[endpoint["organization_id"], endpoint["mode"]].append((endpoint, tuple(endpoint["events"])))
    found = []
    for event in events:
        for endpoint, patterns in by_tenant.get((event["organization_id"], event["mode"]), ()):
            if (
                _wanted(patterns, event["type"])
                and endpoint["created_at"] <= event["created_at"]
                and endpoint["workspace_id"] in (None, event["workspace_id"])
                and (endpoint["id"] != event["resource_id"] or event["type"] == EventType.WEBHOOK_ENDPOINT_ENABLED)
            ):
                found.append((endpoint, event))
    return found


async def _in_order(connection: Connection, matched: Sequence[Match]) -> list[Owed]:
    """The deliveries to make; those of endpoints that keep an order get their key and their place in it."""
    ordered = [(endpoint, event) for endpoint, event in matched if endpoint["fifo"] is not None]
    if not ordered:
        return [Owed(endpoint["organization_id"], endpoint["id"], event) for endpoint, event in matched]
    payload_keys = {}
    for member in _PAYLOAD_KEYS:
        events = [event for endpoint, event in ordered if endpoint["fifo"] == member]
        payload_keys[member] = await repository.event_keys(connection, events, member) if events else {}
    counts = Counter((endpoint["organization_id"], endpoint["id"]) for endpoint, _ in ordered)
    places = {key: await repository.take_positions(connection, key, count) for key, count in sorted(counts.items())}
    owed, seen = [], set()
    for endpoint, event in matched:
        organization, endpoint_id, fifo = endpoint["organization_id"], endpoint["id"], endpoint["fifo"]
        name = _key_of(fifo, event, payload_keys)
        if name is None:
            owed.append(Owed(organization, endpoint_id, event))
            continue
        place = places[organization, endpoint_id]
        places[organization, endpoint_id] = place + 1
        behind = (endpoint_id, name) in seen
        seen.add((endpoint_id, name))
        owed.append(Owed(organization, endpoint_id, event, name, place, behind))
    return owed


def _key_of(fifo: str | None, event: Any, payload_keys: Mapping[str, Mapping[UUID, str]]) -> str | None:
    """What an event is kept in order by; None: by nothing, since it has no such member."""
    if fifo == Fifo.ENDPOINT:
        return _ALL
    if fifo == Fifo.RESOURCE:
        return str(event["resource_id"])
    return payload_keys[fifo].get(event["id"]) if fifo is not None else None


@lru_cache(maxsize=65536)
def _wanted(patterns: tuple[str, ...], event_type: str) -> bool:
    return matches(patterns, event_type)
