"""The express lane of fan-out: while the log is far behind, the first unread events of every tenant come out of turn.

The log is read in the order of commits, so a tenant that has just made a million events would stand before all others.
What is owed here early is met again when the log is read, and makes no second delivery. Endpoints that keep an order
take no part: theirs is the order of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_webhooks import repository
from penguinmails_webhooks.records import Key
from penguinmails_webhooks.repository import Place

Made = tuple[int, dict[Key, bool]]
"""How many deliveries were made, and the endpoints that have something new with whether they are gated."""

_EACH = 50  # events of one organization at a time
_LEAST_GAP = 0.3  # seconds between two looks
_SHARE = 4  # at most a fifth of the time is spent on it


class Express:
    """`owe` makes the deliveries of events. Remembers how far it went with each organization."""

    def __init__(self, pool: Pool, consumer: str, owe: Callable[[Connection, Sequence[Any]], Awaitable[Made]]) -> None:
        self._pool = pool
        self._consumer = consumer
        self._owe = owe
        self._places: dict[UUID, Place] = {}
        self._next = 0.0

    def caught_up(self) -> None:
        """The log is read to its end."""
        self._places.clear()

    async def round(self) -> Made:
        """Does nothing when it was called a moment ago."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        if started < self._next:
            return 0, {}
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.use_indexes(connection, keep_plans=False)
            rows = await repository.unread(connection, self._consumer, self._places, _EACH)
            made = await self._owe(connection, rows)
        for row in rows:  # in the order of commits
            self._places[row["organization_id"]] = Place(row["xid_text"], row["id"])
        now = loop.time()
        self._next = now + max(_LEAST_GAP, _SHARE * (now - started))
        return made
