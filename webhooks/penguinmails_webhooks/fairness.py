"""Whose turn it is: endpoints that are due share the free requests, and one that hangs gets few of them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from penguinmails_webhooks.records import Key

_START = 2  # requests at once to an endpoint that nothing is known of
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Endpoint:
    limit: int = _START
    in_flight: int = 0
    served: int = 0
    marks: int = 0
    not_before: float = 0.0


class Lineup:
    """In memory and about this process only: it decides what to ask the database for, the database what is due.

    `cap`: requests at once to one endpoint. It is reached by successes and lost by failures, so that endpoints which
    do not answer hold one request each.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._endpoints: dict[Key, _Endpoint] = defaultdict(_Endpoint)
        self._organizations: dict[UUID, int] = defaultdict(int)
        self._ready: set[Key] = set()
        self._later: list[tuple[float, Key]] = []
        self._served = 0

    def due(self, key: Key, at: float) -> None:
        """Something is, or will be, due to this endpoint at `at` (of the loop's clock)."""
        if key in self._ready:
            self._endpoints[key].marks += 1
        else:
            heapq.heappush(self._later, (max(at, self._endpoints[key].not_before), key))

    def wait(self, key: Key, at: float) -> None:
        """Nothing may be sent to this endpoint before `at`, whatever becomes due."""
        self._endpoints[key].not_before = at
        self._ready.discard(key)
        heapq.heappush(self._later, (at, key))

    def reset(self, due: Iterable[tuple[Key, float]]) -> None:
        """Everything that is due, as just read from the database, which also knows of waits that are over early."""
        self._later = [(at, key) for key, at in due]
        for state in self._endpoints.values():
            state.not_before = 0.0
        heapq.heapify(self._later)
        self._ready.clear()
        if len(self._endpoints) > _REMEMBERED:
            kept = {key for _, key in self._later}
            for key in [key for key, state in self._endpoints.items() if not state.in_flight and key not in kept]:
                del self._endpoints[key]

    def choose(self, now: float, free: int) -> list[tuple[Key, int]]:
        """Up to `free` requests for endpoints that are due, shared among organizations first, then endpoints."""
        while self._later and self._later[0][0] <= now:
            self._ready.add(heapq.heappop(self._later)[1])
        room = {key: self._endpoints[key].limit - self._endpoints[key].in_flight for key in self._ready}
        turn = [key for key, slots in room.items() if slots > 0]
        turn.sort(key=lambda key: (self._organizations[key[0]], self._endpoints[key].served))
        picked: dict[Key, int] = {}
        while free > 0 and turn:
            for key in turn[:free]:
                picked[key] = picked.get(key, 0) + 1
            free -= min(free, len(turn))
            turn = [key for key in turn if picked.get(key, 0) < room[key]]
        for key in picked:
            self._served += 1
            self._endpoints[key].served = self._served
            self._endpoints[key].marks = 0
        return list(picked.items())

    def claimed(self, key: Key, asked: int, got: int) -> None:
        """Less than was asked for: nothing more is due, unless something was added in the meantime."""
        state = self._endpoints[key]
        state.in_flight += got
        self._organizations[key[0]] += got
        if got < asked and not state.marks:
            self._ready.discard(key)

    def finished(self, key: Key, well: bool) -> None:
        """A request ended: double what the endpoint gets, or start again with one."""
        state = self._endpoints[key]
        state.in_flight -= 1
        state.limit = min(state.limit * 2, self._cap) if well else 1
        self._organizations[key[0]] -= 1
        if not self._organizations[key[0]]:
            del self._organizations[key[0]]

    def next_due(self) -> float | None:
        """When the next endpoint becomes due (of the loop's clock); those that are due already do not count."""
        return self._later[0][0] if self._later else None
