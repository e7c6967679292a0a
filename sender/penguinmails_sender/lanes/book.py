"""What this process knows of the lanes. The database decides at the claim; the book says what is not worth asking."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.emails.lanes import LaneKey
from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository
from penguinmails_core.lanes.policies import LanePolicy, Policies
from penguinmails_sender.lanes.gate import Gate
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.lanes.pools import Pools
from penguinmails_sender.lanes.state import LaneState

_PER_CONNECTION = 10  # messages in hand for each connection: the next ones are built while these are on their way
_EVERYTHING = 1_000_000
_OVERLAP = timedelta(seconds=10)  # a transaction that began earlier may commit later
_BEAT = 5.0  # seconds between signs of life
_SILENT = timedelta(seconds=20)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """`policies` and `pools` as the data says. With `paced` False nothing leaves this machine (the capture inbox), so
    no rate and no number of connections is kept to; pauses always are."""

    policies: Policies
    pools: Pools
    paced: bool = True


class LaneBook:
    """`know` before asking of a lane; `refresh` every second or so."""

    def __init__(self, pool: Pool, limits: Limits, worker: str) -> None:
        self._pool = pool
        self._limits = limits
        self._worker = worker
        self._states: dict[LaneKey, LaneState] = {}
        self._members: set[tuple[UUID, LaneKey]] = set()
        self._held: set[tuple[UUID, UUID]] = set()
        self._policies: dict[str, LanePolicy] = {}
        self._gates: dict[LaneKey, Gate] = {}
        self._since = _EPOCH
        self._beat = 0.0
        self._skew = timedelta(0)  # the database's clock minus ours
        self.in_hand: Counter[LaneKey] = Counter()
        self.workers = 1

    @property
    def policies(self) -> Policies:
        return self._limits.policies

    def now(self) -> datetime:
        """As the database would say."""
        return datetime.now(UTC) + self._skew

    def policy(self, key: LaneKey) -> LanePolicy:
        policy = self._policies.get(key.group)
        if policy is None:
            policy = self._limits.policies.of(key.group)
            if not self._limits.paced:
                policy = replace(policy, per_second=0, connections=_EVERYTHING)
            self._policies[key.group] = policy
        return policy

    def state(self, key: LaneKey) -> LaneState:
        """Of a known lane."""
        return self._states[key]

    def find(self, key: LaneKey) -> LaneState | None:
        return self._states.get(key)

    # ------------------------------------------------------------------ the database

    async def know(self, wanted: Iterable[tuple[UUID, LaneKey]]) -> None:
        """Lanes and members that are new to this process are written down, once."""
        new = set(wanted) - self._members
        if not new:
            return
        lanes = {key for _, key in new if key not in self._states}
        if lanes:
            self._take(await repository.ensure(self._pool, [(new_uuid(), *key) for key in sorted(lanes)]))
        await repository.join(self._pool, [(organization, self._states[key].id) for organization, key in new])
        self._members |= new

    async def refresh(self) -> None:
        """What other processes and people have changed."""
        self._take(await repository.changed_since(self._pool, self._since))
        self._held = await repository.paused_members(self._pool)
        if time.monotonic() >= self._beat:
            self.workers = max(1, await repository.workers(self._pool, self._worker, _SILENT))
            self._beat = time.monotonic() + _BEAT

    async def leave(self) -> None:
        await repository.leave(self._pool, self._worker)

    def _take(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self.put(LaneState.of(row))
            self._since = max(self._since, row["updated_at"] - _OVERLAP)
            self._skew = row["now"] - datetime.now(UTC)

    def put(self, state: LaneState) -> None:
        """As it was written."""
        self._states[state.key] = state

    # ------------------------------------------------------------------ may it leave?

    def held(self, organization_id: UUID, key: LaneKey) -> bool:
        """The organization holds its own mail back there."""
        state = self._states.get(key)
        return state is not None and (organization_id, state.id) in self._held

    def opens_in(self, key: LaneKey, now: datetime) -> float:
        """Seconds until a claim could bring something; 0 for a lane that is not known yet."""
        state = self._states.get(key)
        return 0.0 if state is None else state.opens_in(self.policy(key), now)

    def connections(self, key: LaneKey) -> int:
        """This process's share."""
        state = self._states.get(key)
        if state is None:
            return 1
        return max(1, state.most_connections(self.policy(key), self.now()) // self.workers)

    def room(self, key: LaneKey) -> int:
        """How many more of a lane this process may take in hand."""
        return max(0, self.connections(key) * _PER_CONNECTION - self.in_hand[key])

    def gate(self, key: LaneKey) -> Gate:
        """Where messages of a lane wait for their connection."""
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(lambda: self.connections(key))
        return gate

    def done(self, key: LaneKey) -> None:
        self.in_hand[key] -= 1
        if self.in_hand[key] <= 0:
            del self.in_hand[key]

    def connection(self, key: LaneKey, message_id: UUID) -> ConnectionPolicy | None:
        """How a message of the lane is to leave; None where nothing is prescribed."""
        if not self._limits.paced:
            return None
        policy = self.policy(key)
        return ConnectionPolicy(
            source_address=self._limits.pools.address(key.source, message_id),
            tls=policy.tls,
            messages_per_connection=policy.messages_per_connection,
            max_connections=self.connections(key),
        )
