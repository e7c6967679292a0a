"""Complaints stop a lane before providers do. Whoever reads feedback reports calls `complained` with the report's own
change, so the lane stops with the commit; other processes hear of it within a second.

The threshold is Gmail's: never 0.30 % of what was delivered (Gmail sender guidelines, checked 2026-11-25).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import orjson

from penguinmails_core.emails.lanes import is_live, key_of
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import complaints_repository as repository
from penguinmails_core.lanes.repository import write_decisions

log = logging.getLogger(__name__)

RULE = "complaints"
RATE = 0.003
LEAST = 5  # fewer are people, not a pattern
PAUSE = timedelta(hours=4)


async def complained(connection: Connection, recipients: Iterable[tuple[UUID, str]]) -> list[UUID]:
    """(organization, name of the recipient's queue) of people who complained, in the caller's transaction. Returns the
    lanes that were paused for it."""
    counts = Counter((owner, *key_of(name)) for owner, name in recipients if is_live(name))
    if not counts:
        return []
    paused = []
    for lane_id in await repository.count(connection, [(*key, number) for key, number in counts.items()]):
        sent, complaints = await repository.totals(connection, lane_id)
        if complaints < LEAST or complaints < sent * RATE:
            continue
        row = await repository.pause(connection, lane_id, PAUSE, RULE)
        if row is None:
            continue
        why = f"{complaints} complaints about {sent} messages since yesterday; {RATE:.1%} is too many"
        after = orjson.dumps({"paused": True}).decode()
        decision = (new_uuid(), lane_id, None, row["now"], "pause", RULE, why, complaints, row["paused_until"])
        await write_decisions(connection, [(*decision, '{"paused": false}', after)], [])
        log.warning("lane %s: paused until %s: %s", lane_id, row["paused_until"], why)
        paused.append(lane_id)
    return paused
