"""Hits become verdicts and events: in the worker, in bulk, once what belongs together has arrived.

A scanner that follows all links shows only after a few seconds, so a hit waits for `SETTLE` before it is judged. Any
number of workers may judge: each takes hits that no other has.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson

from penguinmails_core.emails.payload import data_of_joined
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.db import FAILED, Database
from penguinmails_core.kit.doorbell import EVENTS, Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.sending.repository import write_events
from penguinmails_core.tracking import repository
from penguinmails_core.tracking.rules import Hit, Rule, burst_seconds, judge

log = logging.getLogger(__name__)

SETTLE = timedelta(seconds=6)  # the buffer's second, and a burst's three, with room for a slow database
_EVERY = 2.0
_BATCH = 500
_EVENTS = {"open": EventType.EMAIL_OPENED, "click": EventType.EMAIL_CLICKED}


class HitJudge:
    """`run` until cancelled."""

    def __init__(self, database: Database, doorbell: Doorbell, *, settle: timedelta = SETTLE) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settle = settle

    async def run(self) -> None:
        while True:
            try:
                while await self.run_once() >= _BATCH:
                    pass
            except FAILED as error:
                log.warning("tracking: hits are judged later (%s)", type(error).__name__)
            await asyncio.sleep(_EVERY)

    async def run_once(self) -> int:
        """Judge up to a batch of hits; returns how many."""
        async with self._database.worker.acquire() as connection, connection.transaction():
            burst = timedelta(seconds=burst_seconds())
            rows = await repository.take(connection, self._settle, _BATCH, burst)
            if not rows:
                return 0
            found = [judge(_hit(row)) for row in rows]
            firsts = _firsts(rows, found, await repository.seen(connection, *_keys(rows)))
            verdicts = [
                (row["organization_id"], row["hit_id"], rule.verdict, rule.confidence, rule.id)
                for row, rule in zip(rows, found, strict=True)
            ]
            await repository.judged(connection, list(zip(*verdicts, strict=True)))
            counts = Counter((row["organization_id"], row["id"]) for row in rows)
            organizations, recipients = zip(*counts, strict=True)
            before = await repository.count_up(connection, organizations, recipients, list(counts.values()))
            events = _events(rows, found, firsts, before)
            await write_events(connection, list(zip(*events, strict=True)))
        self._doorbell.ring(EVENTS)
        return len(rows)


def _hit(row: Mapping[str, Any]) -> Hit:
    return Hit(
        row["hit_kind"],
        row["at"],
        row["method"],
        row["user_agent"],
        row["prefetch"],
        row["delivered_at"],
        row["burst"],
        row["links"],
    )


def _keys(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    return [row["organization_id"] for row in rows], [row["id"] for row in rows]


def _firsts(rows: Sequence[Mapping[str, Any]], found: Sequence[Rule], seen: set[Any]) -> list[bool]:
    """Of each hit, whether the recipient had none of this kind and verdict before."""
    firsts = []
    for row, rule in zip(rows, found, strict=True):
        key = (row["organization_id"], row["id"], row["hit_kind"], rule.verdict)
        firsts.append(key not in seen)
        seen.add(key)
    return firsts


def _events(
    rows: Sequence[Mapping[str, Any]], found: Sequence[Rule], firsts: Sequence[bool], before: dict[Any, int]
) -> list[tuple[Any, ...]]:
    events = []
    for row, rule, first in zip(rows, found, firsts, strict=True):
        key = (row["organization_id"], row["id"])
        before[key] += 1
        data = _data(row, rule, first)
        events.append(
            (
                row["organization_id"],
                row["workspace_id"],
                new_uuid(),
                row["mode"],
                str(_EVENTS[row["hit_kind"]]),
                row["id"],
                before[key],
                orjson.dumps(data).decode(),
            )
        )
    return events


def _data(row: Mapping[str, Any], rule: Rule, first: bool) -> dict[str, Any]:
    data = data_of_joined(row)
    data |= {
        "actor": rule.verdict,
        "confidence": rule.confidence,
        "rule": rule.id,
        "first": first,
        "user_agent": row["user_agent"],
    }
    if row["hit_kind"] == "click":
        data["url"] = row["url"] or ""
    return data
