"""What became of requests, written down many at a time."""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_webhooks import outcome_repository, repository
from penguinmails_webhooks.policy import Condition, Policy, after_requests
from penguinmails_webhooks.records import Key, Outcome

log = logging.getLogger(__name__)

_BATCH = 500  # outcomes in one transaction
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)  # by the database or its driver
# Nothing is told of what tells of endpoints: a broken one would be told of for ever.
_SILENT = ("webhook_endpoint.", "message.")


@dataclass(slots=True)
class Written:
    """`again`: endpoints to look at again, with seconds. `events`: whether events were written."""

    outcomes: Sequence[Outcome] = ()
    disabled: int = 0
    events: bool = False
    again: list[tuple[Key, float, bool]] = field(default_factory=list)


class Recorder:
    def __init__(self, pool: Pool, policy: Policy, rng: random.Random) -> None:
        self._pool = pool
        self._policy = policy
        self._rng = rng
        self._waiting: list[Outcome] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, outcome: Outcome) -> None:
        self._waiting.append(outcome)

    async def write(self, *, keep_plans: bool) -> Written:
        """One transaction for up to 500 outcomes. What could not be written waits for the next call."""
        outcomes, later = _distinct(self._waiting)
        if not outcomes:
            return Written()
        self._waiting = later
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await repository.use_indexes(connection, keep_plans=keep_plans)
                return await self._write(connection, outcomes)
        except BaseException as error:
            if isinstance(error, _REFUSED):  # one bad row must not hold up the others for ever
                outcomes = [outcome.bare() for outcome in outcomes]
            self._waiting = outcomes + self._waiting
            raise

    async def _write(self, connection: Connection, outcomes: Sequence[Outcome]) -> Written:
        written = Written(outcomes)
        before = await outcome_repository.conditions(connection, _wanted(outcomes))
        after = _after(before, outcomes, self._policy, self._rng)
        changed = [condition for key, condition in after.items() if condition != before[key]]
        if changed:
            await outcome_repository.set_conditions(connection, changed)
        given_up = await outcome_repository.record(connection, outcomes)
        ended = {
            (outcome.delivery.key, outcome.delivery.fifo_key)
            for outcome in outcomes
            if outcome.delivery.fifo_key is not None and outcome.status != "pending"
        }
        if ended:
            await outcome_repository.release_next(connection, sorted(ended))
        exhausted = [outcome for outcome in outcomes if outcome.delivery.id in given_up and _told(outcome)]
        if exhausted:
            await outcome_repository.tell_exhausted(connection, exhausted)
        for outcome in {outcome.delivery.key: outcome for outcome in outcomes if outcome.disable}.values():
            written.disabled += await self._disable(connection, outcome)
        written.events = bool(exhausted or written.disabled)
        written.again = list(_again(outcomes, after))
        return written

    async def _disable(self, connection: Any, outcome: Outcome) -> bool:
        policy = self._policy
        probe_after = policy.probe_after if policy.probe_for else None
        done = await outcome_repository.disable(connection, outcome, policy.disable_after, probe_after)
        if done:
            log.warning("webhook endpoint %s was disabled: %s", outcome.delivery.key[1], outcome.disable)
        return done


def _wanted(outcomes: Sequence[Outcome]) -> dict[Key, bool]:
    """Each endpoint, and whether its row is needed whatever it says: it fails, or keeps an order."""
    wanted: dict[Key, bool] = {}
    for outcome in outcomes:
        key = outcome.delivery.key
        needed = outcome.status != "delivered" or outcome.delivery.fifo_key is not None
        wanted[key] = wanted.get(key, False) or needed
    return wanted


def _after(
    before: dict[Key, Condition], outcomes: Sequence[Outcome], policy: Policy, rng: random.Random
) -> dict[Key, Condition]:
    delivered: defaultdict[Key, int] = defaultdict(int)
    failed_at: defaultdict[Key, list[datetime]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.status == "delivered":
            delivered[outcome.delivery.key] += 1
        elif outcome.unwell:
            failed_at[outcome.delivery.key].append(outcome.started_at)
    return {
        key: after_requests(condition, delivered[key], failed_at[key], policy, rng) for key, condition in before.items()
    }


def _told(outcome: Outcome) -> bool:
    kind = outcome.delivery.event_type
    return kind != EventType.WEBHOOK_TEST and not kind.startswith(_SILENT)


def _again(outcomes: Sequence[Outcome], after: dict[Key, Condition]) -> Any:
    """When each endpoint may have something due because of this: a retry, the next of a key, a slot that is free."""
    for key, gated in {outcome.delivery.key: outcome.delivery.gated for outcome in outcomes}.items():
        condition = after.get(key)
        if condition is not None and condition.breaker_in is not None:
            yield key, condition.breaker_in, True
        elif gated:
            yield key, 0.0, True
    for outcome in outcomes:
        if outcome.wait is not None:
            yield outcome.delivery.key, outcome.wait, outcome.delivery.gated
        elif outcome.delivery.fifo_key is not None:
            yield outcome.delivery.key, 0.0, outcome.delivery.gated


def _distinct(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """(what one statement can write, the rest): a statement cannot change a row twice."""
    now: dict[Any, Outcome] = {}
    later: list[Outcome] = []
    for outcome in outcomes:
        if len(now) < _BATCH and outcome.delivery.id not in now:
            now[outcome.delivery.id] = outcome
        else:
            later.append(outcome)
    return list(now.values()), later
