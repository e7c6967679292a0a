"""Which deliveries are sent next: asks the line-up whose turn it is, the policy how much, and the database for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penguinmails_core.kit.db import Connection, Pool
from penguinmails_webhooks import repository
from penguinmails_webhooks.fairness import Lineup
from penguinmails_webhooks.policy import BUSY_AGAIN, Gate, Grant, Policy, admit
from penguinmails_webhooks.records import Delivery, Key
from penguinmails_webhooks.repository import Passed

LEAST_GAP = 0.05  # seconds between two looks for due endpoints
_MANY = 10_000  # claims after which the tables are not small

Pick = tuple[Key, int]


@dataclass(frozen=True, slots=True)
class _Claimed:
    deliveries: list[Delivery]
    put_back: set[Key]  # endpoints of which something waits behind another delivery
    again: dict[Key, tuple[float, bool]]  # gated endpoints: seconds until more is possible, whether perhaps earlier


class Claimer:
    """`lease`: how long a claimed delivery is held. `poll`: seconds between looks when nobody rings."""

    def __init__(self, pool: Pool, lineup: Lineup, policy: Policy, *, lease: timedelta, poll: float) -> None:
        self._pool = pool
        self._lineup = lineup
        self._policy = policy
        self._lease = lease
        self._poll = poll
        self._gated: set[Key] = set()
        self._gap = LEAST_GAP
        self._looked = 0.0
        self.look_at = 0.0  # when to look for due endpoints again
        self.claimed = 0
        self.cancelled = 0

    @property
    def keep_plans(self) -> bool:
        return self.claimed > _MANY

    def owed(self, keys: Iterable[tuple[Key, bool]]) -> None:
        """Fan-out has just made deliveries of these endpoints; whether they are gated."""
        now = _now()
        for key, gated in keys:
            if gated:
                self._gated.add(key)
            self._lineup.due(key, now)

    def due(self, key: Key, seconds: float, *, gated: bool = False) -> None:
        """Something is due to this endpoint in so many seconds."""
        if gated:
            self._gated.add(key)
        self._lineup.due(key, _now() + seconds)

    def hasten(self) -> None:
        """Others say that there is something: look as soon as looking is not too dear."""
        self.look_at = min(self.look_at, self._looked + self._gap)

    async def look(self) -> None:
        """Ask the database which endpoints are due: what other processes, callers and expired leases left to do."""
        self._looked = _now()
        self.look_at = self._looked + self._poll  # before the look: a bell that rings meanwhile asks for another one
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.use_indexes(connection, keep_plans=self.keep_plans)
            rows = await repository.due_endpoints(connection)
            for row in rows:
                key = (row["organization_id"], row["endpoint_id"])
                if not row["enabled"]:
                    self.cancelled += await repository.cancel(connection, key)
                elif row["stuck"]:
                    await repository.release(connection, key)
        now = _now()
        found = [((row["organization_id"], row["endpoint_id"]), row) for row in rows if row["enabled"]]
        self._gated = {key for key, row in found if row["gated"]}
        self._lineup.reset((key, now if row["stuck"] else now + row["seconds"]) for key, row in found)
        # Looking costs in proportion to the endpoints that are owed something: at most a tenth of the time is spent.
        self._gap = max(LEAST_GAP, 10 * (now - self._looked))
        self.look_at = max(self.look_at, self._looked + self._gap)

    async def take(self, free: int, due_before: datetime | None = None) -> list[Delivery]:
        """Up to `free` deliveries whose turn it is, claimed in one short transaction."""
        while True:
            picks = self._lineup.choose(_now(), free)
            if not picks:
                return []
            found = await self._try(picks, due_before)
            if found.deliveries or not found.put_back:
                return found.deliveries

    async def _try(self, picks: Sequence[Pick], due_before: datetime | None) -> _Claimed:
        try:
            found = await self._claim(picks, due_before)
        except BaseException:
            for key, _ in picks:
                self._lineup.claimed(key, 0, 0)
            raise
        got: dict[Key, int] = {}
        for delivery in found.deliveries:
            got[delivery.key] = got.get(delivery.key, 0) + 1
        now = _now()
        for key, asked in picks:
            self._lineup.claimed(key, asked, got.get(key, 0))
            if key in found.put_back:
                self._lineup.due(key, now)
            if key in found.again:
                seconds, busy = found.again[key]
                (self._lineup.due if busy else self._lineup.wait)(key, now + seconds)
        self.claimed += len(found.deliveries)
        return found

    async def _claim(self, picks: Sequence[Pick], due_before: datetime | None) -> _Claimed:
        plain = [pick for pick in picks if pick[0] not in self._gated]
        gated = [pick for pick in picks if pick[0] in self._gated]
        deliveries: list[Delivery] = []
        put_back: set[Key] = set()
        again: dict[Key, tuple[float, bool]] = {}
        limits = (self._lease, self._policy.disable_after, due_before)
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.use_indexes(connection, keep_plans=self.keep_plans)
            if plain:
                deliveries, put_back = await repository.claim(connection, plain, *limits)
            if gated:
                asked = dict(gated)
                gates = await repository.gates(connection, gated, due_before)
                grants = {gate.key: admit(gate, asked[gate.key]) for gate in gates}
                granted = [(key, grant.slots) for key, grant in grants.items() if grant.slots]
                taken: list[Delivery] = []
                if granted:
                    taken, behind = await repository.claim(connection, granted, *limits, gated=True)
                    put_back |= behind
                deliveries += _paced(taken, grants)
                await self._pass(connection, gates, grants, taken)
                again = {key: (BUSY_AGAIN, True) for key in asked if key not in grants}  # another worker has it
                again |= {key: (grant.again, grant.busy) for key, grant in grants.items() if grant.again is not None}
        return _Claimed(deliveries, put_back, again)

    async def _pass(
        self, connection: Connection, gates: Sequence[Gate], grants: dict[Key, Grant], taken: list[Delivery]
    ) -> None:
        used: dict[Key, int] = {}
        for delivery in taken:
            used[delivery.key] = used.get(delivery.key, 0) + 1
        passed = []
        for gate in gates:
            grant, count = grants[gate.key], used.get(gate.key, 0)
            throttle_in = grant.first + count * grant.interval if grant.interval and count else None
            passed.append(Passed(gate.key, throttle_in, grant.held_back, grant.trying and count > 0))
        await repository.pass_gates(connection, passed, self._lease)


def _paced(taken: Sequence[Delivery], grants: dict[Key, Grant]) -> list[Delivery]:
    """Each in its slot: a throttle lets nothing through at once that it should spread."""
    places: dict[Key, int] = {}
    paced = []
    for delivery in taken:
        grant, place = grants[delivery.key], places.get(delivery.key, 0)
        places[delivery.key] = place + 1
        delay = grant.first + place * grant.interval if grant.interval else 0.0
        paced.append(replace(delivery, delay=delay) if delay > 0 else delivery)
    return paced


def _now() -> float:
    return asyncio.get_running_loop().time()
