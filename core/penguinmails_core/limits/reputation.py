"""Sending follows reputation: a tenant whose complaints or bounces rise may send less, in steps, with the reason told.

The thresholds are data (`reputation_rules`). Down goes at once to what the worst rule says; up goes one step each six
hours while no rule asks for less, so that a burst of clean mail does not buy the full rate back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import FAILED, Connection, Database
from penguinmails_core.kit.doorbell import LIMITS, Doorbell
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.usage import delivery_repository as repository
from penguinmails_core.usage import rollup

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
RECOVERY = timedelta(hours=6)
FULL = 1.0

Outcomes = Mapping[str, int]
Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules ask for, and why."""

    factor: float = FULL
    reason: str | None = None


class Reputation:
    """`run_once` is safe in several processes at once."""

    def __init__(self, database: Database, doorbell: Doorbell) -> None:
        self._database = database
        self._doorbell = doorbell

    async def run(self) -> None:
        while True:
            try:
                await self.run_once(utcnow())
            except FAILED as error:
                log.warning("reputation: skipped a round (%s)", type(error).__name__)
            await asyncio.sleep(EVERY.total_seconds())

    async def run_once(self, now: datetime) -> int:
        """Count, conclude; returns for how many organizations something changed."""
        await rollup.roll_up_sends(self._database, now)
        await rollup.roll_up_deliveries(self._database, now)
        await rollup.forget(self._database, now)
        async with self._database.worker.acquire() as connection, connection.transaction():
            changed = await _evaluate(connection, now)
        if changed:
            self._doorbell.ring(LIMITS)
        return changed


async def _evaluate(connection: Connection, now: datetime) -> int:
    known = await repository.reputations(connection)
    rules = await repository.rules(connection)
    windows = {rule["window_hours"] for rule in rules}
    totals = {hours: await repository.totals(connection, now - timedelta(hours=hours)) for hours in windows}
    reference = await repository.busiest_days(connection, now - timedelta(days=7))
    steps = sorted({rule["factor"] for rule in rules} | {FULL})
    changed = 0
    for organization_id in sorted(set().union(*totals.values()) | set(known)):
        outcomes = {hours: found.get(organization_id, {}) for hours, found in totals.items()}
        finding = judge(rules, outcomes)
        before = known.get(organization_id)
        now_factor, reason = step(before, finding, steps, now)
        was = before["factor"] if before is not None else FULL
        if before is None and now_factor == FULL:
            continue
        usual = reference.get(organization_id, 0)
        await repository.save(connection, organization_id, now_factor, finding.factor, reason, usual, now)
        if now_factor != was:
            await _record(connection, organization_id, was, now_factor, reason)
            changed += 1
    return changed


def judge(rules: Sequence[Rule], outcomes: Mapping[int, Outcomes]) -> Finding:
    """The strictest rule that applies. `outcomes`: by hours of the window."""
    worst = Finding()
    for rule in rules:
        found = outcomes.get(rule["window_hours"]) or {}
        delivered, bounced = found.get("delivered", 0), found.get("bounced", 0)
        count, sample = (
            (found.get("complained", 0), delivered)
            if rule["metric"] == "complaints"
            else (bounced, delivered + bounced)
        )
        if sample < max(1, rule["min_sample"]) or count < rule["min_count"]:
            continue
        if count / sample >= rule["rate"] and rule["factor"] < worst.factor:
            days = rule["window_hours"] / 24
            when = "24 hours" if days == 1 else f"{days:g} days"
            worst = Finding(
                rule["factor"],
                f"{rule['metric']} are {count / sample:.2%} of the mail of the last {when} "
                f"({count:,} of {sample:,}); the limit is {rule['rate']:.2%}",
            )
    return worst


def step(
    before: Mapping[str, Any] | None, finding: Finding, steps: Sequence[float], now: datetime
) -> tuple[float, str | None]:
    """The factor from now on, and why it is less than 1."""
    factor = before["factor"] if before is not None else FULL
    if finding.factor <= factor:
        return finding.factor, finding.reason
    assert before is not None
    if now - before["changed_at"] >= RECOVERY:
        factor = min(finding.factor, next((higher for higher in steps if higher > factor), FULL))
    if factor == FULL:
        return FULL, None
    cause = (finding.reason or before["reason"] or "").removesuffix(_RECOVERING)
    return factor, cause + _RECOVERING


_RECOVERING = "; recovering"


async def _record(connection: Connection, organization_id: UUID, was: float, factor: float, reason: str | None) -> None:
    await audit.record_on(
        connection,
        Actor.system(organization_id, "reputation"),
        "organization.send_rate_changed",
        Resource(Prefix.ORGANIZATION, organization_id),
        {"factor": was},
        {"factor": factor, "reason": reason},
    )
