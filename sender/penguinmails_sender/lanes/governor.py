"""Watches what providers answer and moves the lanes' limits; everything it does is written down with its reasons."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson

from penguinmails_core.emails.lanes import LaneKey, is_live, key_of
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository, warmups
from penguinmails_sender.bounces.reasons import Action, Reason, facts
from penguinmails_sender.engine.outcomes import Decision
from penguinmails_sender.lanes.adapt import Hit, Step, adapt, forget_old, grow, reopen
from penguinmails_sender.lanes.book import LaneBook
from penguinmails_sender.lanes.state import LaneState

log = logging.getLogger(__name__)

_EVERY = 0.5  # seconds
_DAYS_EVERY = 60.0  # seconds between looks whether a day of a warm-up is over
_MOST_HITS = 1000  # a lane, between two looks; more of the same says nothing new
_ACTIONS = (Action.PAUSE_LANE, Action.PAUSE_DOMAIN, Action.SLOW)
_ABOUT_US = frozenset(reason.value for reason in Reason if facts(reason).action in _ACTIONS)
_COUNTED = {"sent": 0, "delivered": 0, "deferred": 1, "bounced": 2}
_BLOCKED = 3


class Governor:
    """`observe` never waits. `changed` is called when a lane may do something else than before."""

    def __init__(self, pool: Pool, book: LaneBook, changed: Callable[[], None]) -> None:
        self._pool = pool
        self._book = book
        self._changed = changed
        self._counts: dict[tuple[UUID, LaneKey], list[int]] = {}
        self._hits: dict[LaneKey, list[Hit]] = defaultdict(list)
        self._days_at = 0.0

    def observe(self, decisions: Iterable[Decision]) -> None:
        """Answers of servers, of live mail. What no server said (a lost connection, a defect) teaches nothing."""
        for decision in decisions:
            row = decision.job.row
            if not is_live(row["lane"]) or decision.result.code is None or decision.outcome not in _COUNTED:
                continue
            key = key_of(row["lane"])
            counts = self._counts.setdefault((row["organization_id"], key), [0, 0, 0, 0])
            counts[_COUNTED[decision.outcome]] += 1
            if decision.outcome in ("sent", "delivered"):
                continue
            if decision.reason in _ABOUT_US:
                counts[_BLOCKED] += 1
            self._match(key, decision)

    def _match(self, key: LaneKey, decision: Decision) -> None:
        result, row = decision.result, decision.job.row
        words = f"{result.code} {result.enhanced_code or ''} {result.reply}"
        rule = self._book.policies.rule_for(key.group, decision.reason or "", words)
        if rule is None or len(self._hits[key]) >= _MOST_HITS:
            return
        self._hits[key].append(
            Hit(
                rule,
                row["organization_id"],
                row["from_domain"],
                row["address"].rpartition("@")[2].lower(),
                decision.reason or "",
                result.code,
                result.enhanced_code,
                result.reply[:500].replace("\0", ""),
            )
        )

    async def run(self) -> None:
        while True:
            try:
                await self.tick()
            except Exception as error:  # telemetry must never stop mail
                log.warning("lanes: not looked after this time (%s)", type(error).__name__, exc_info=True)
            await asyncio.sleep(_EVERY)

    async def tick(self) -> None:
        """Write what was seen, act on it, end what is over, read what others did."""
        steps = await self.flush()
        steps += await self._end_pauses()
        if time.monotonic() >= self._days_at:
            self._days_at = time.monotonic() + _DAYS_EVERY
            await warmups.tick(self._pool)
        await self._book.refresh()
        if steps:
            self._changed()

    async def flush(self) -> list[Step]:
        """Returns what was decided."""
        counts, self._counts = self._counts, {}
        hits, self._hits = self._hits, defaultdict(list)
        if not counts:
            return []
        await self._book.know(counts)
        sent = {key for (_, key), numbers in counts.items() if numbers[0]}
        touched = {key for key in sent if self._may_grow(key)} | set(hits)
        steps: list[Step] = []
        async with self._pool.acquire() as connection, connection.transaction():
            await repository.count(
                connection,
                [(owner, self._book.state(key).id, *numbers) for (owner, key), numbers in counts.items()],  # type: ignore[misc]
            )
            states = await self._lock(connection, touched)
            for state in states:
                steps += await self._decide(connection, state, hits.get(state.key, []), state.key in sent)
        for state in states:
            self._book.put(state)
        return steps

    def _may_grow(self, key: LaneKey) -> bool:
        state = self._book.find(key)
        return state is not None and (state.factor < 1 or state.connections is not None)

    async def _lock(self, connection: Connection, keys: Iterable[LaneKey]) -> list[LaneState]:
        ids = [self._book.state(key).id for key in keys]
        return [LaneState.of(row) for row in await repository.lock(connection, ids)] if ids else []

    async def _decide(self, connection: Connection, state: LaneState, hits: Sequence[Hit], sent: bool) -> list[Step]:
        policy, now = self._book.policy(state.key), self._book.now()
        known = orjson.dumps(state.hits)
        steps = adapt(state, policy, hits, now)
        if not hits and sent:
            steps = grow(state, policy, now)
        forget_old(state, now)
        if steps or orjson.dumps(state.hits) != known:
            await self._write(connection, state, steps)
        return steps

    async def _end_pauses(self) -> list[Step]:
        steps: list[Step] = []
        async with self._pool.acquire() as connection, connection.transaction():
            states = [LaneState.of(row) for row in await repository.ended_pauses(connection)]
            for state in states:
                done = reopen(state, self._book.policy(state.key), self._book.now())
                await self._write(connection, state, done)
                steps += done
        for state in states:
            self._book.put(state)
        return steps

    async def _write(self, connection: Connection, state: LaneState, steps: Sequence[Step]) -> None:
        decisions: list[tuple[Any, ...]] = []
        evidence: list[tuple[Any, ...]] = []
        domains = []
        for step in steps:
            decision_id = new_uuid()
            owner = step.from_domain[0] if step.from_domain else None
            before, after = orjson.dumps(step.before).decode(), orjson.dumps(step.after).decode()
            decisions.append(
                (
                    decision_id,
                    state.id,
                    owner,
                    step.at,
                    step.action,
                    step.rule,
                    step.why,
                    step.replies,
                    step.until,
                    before,
                    after,
                )
            )
            evidence += [
                (
                    hit.organization_id,
                    new_uuid(),
                    decision_id,
                    hit.from_domain,
                    hit.recipient_domain,
                    hit.reason,
                    hit.code,
                    hit.enhanced_code,
                    hit.reply,
                )
                for hit in step.evidence
            ]
            if step.from_domain and step.until:
                domains.append((*step.from_domain, step.until, step.rule, step.evidence[-1].words))
            log.warning("lane %s/%s: %s by %s until %s", *state.key, step.action, step.rule, step.until)
        values = {name: getattr(state, name) for name in _STATE} | {"hits": orjson.dumps(state.hits).decode()}
        await repository.write_state(connection, values)
        await repository.write_decisions(connection, decisions, evidence)
        if domains:
            await repository.pause_domains(connection, domains)


_STATE = (
    "id",
    "paused_until",
    "pause_rule",
    "pause_reason",
    "factor",
    "connections",
    "crawl_until",
    "crawl_per_second",
    "slowed_at",
)
