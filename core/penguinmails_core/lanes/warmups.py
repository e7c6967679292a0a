"""Warm-ups of this server: started by its operator, judged once a day, kept to as the daily cap of a lane."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson

from penguinmails_core.errors import NotFound, Unprocessable
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.lanes import repository as lanes
from penguinmails_core.lanes import warmups_repository as repository
from penguinmails_core.lanes.warmup import Day, Progress, Schedules, advance, shipped

log = logging.getLogger(__name__)

IDLE_DAYS = 30  # after which providers have forgotten a source (SendGrid's automated warm-up does the same)


def _today() -> date:
    return datetime.now(UTC).date()


async def start(pool: Pool, source: str, group: str, schedule: str, target: int) -> int:
    """Begin, or begin again; returns the cap of the first day. Raises `Unprocessable` for an unknown schedule."""
    data = shipped()
    found = data.schedules.get(schedule)
    if found is None:
        raise Unprocessable(f"There is no schedule {schedule!r}; there are {', '.join(data.schedules)}.")
    cap = found.cap(0, target, data.share(group))
    [lane] = await lanes.ensure(pool, [(new_uuid(), source, group)])
    async with pool.acquire() as connection, connection.transaction():
        await repository.start(
            connection, new_uuid(), source, group, schedule=schedule, target=target, cap=cap, today=_today()
        )
        await _cap(connection, lane["id"], "started", f"{schedule}, step 1", cap, lane["daily_cap"])
    return cap


async def end(pool: Pool, source: str, group: str) -> None:
    """No cap any more. Raises `NotFound`."""
    [lane] = await lanes.ensure(pool, [(new_uuid(), source, group)])
    async with pool.acquire() as connection, connection.transaction():
        if not await repository.end(connection, source, group):
            raise NotFound(f"{source} is not warmed up towards {group}.")
        await _cap(connection, lane["id"], "ended by the operator", None, None, lane["daily_cap"])


async def tick(pool: Pool, data: Schedules | None = None, *, today: date | None = None) -> list[str]:
    """Judge the days that are over; returns what was decided, one line each. Harmless to call at any time, and from
    several processes."""
    data, today, lines = data or shipped(), today or _today(), []
    async with pool.acquire() as connection, connection.transaction():
        for row in await repository.due(connection, today):
            lines.append(await _judge(connection, row, data, today))
    for line in lines:
        log.info("warm-up: %s", line)
    return lines


async def _judge(connection: Connection, row: Mapping[str, Any], data: Schedules, today: date) -> str:
    schedule = data.schedules[row["schedule"]]
    share = data.share(row["provider_group"])
    progress = Progress(row["step"], row["state"], row["cap"], row["reason"], row["bad_days"])
    if row["state"] != "stopped" and row["idle"] is not None and row["idle"] > IDLE_DAYS:
        progress = Progress(cap=schedule.cap(0, row["target"], share), reason=f"no mail for {row['idle']} days")
        why = progress.reason
    else:
        day = Day(row["sent"], row["deferred"], row["bounced"], row["blocked"], row["complained"])
        why = advance(progress, day, schedule, row["target"], share, data.limits).why
    values = {
        "id": row["id"],
        "state": progress.state,
        "step": progress.step,
        "cap": progress.cap,
        "reason": progress.reason,
        "bad_days": progress.bad_days,
        "last_day": today,
    }
    await repository.write(connection, values)
    changed = (progress.cap, progress.state) != (row["cap"], row["state"])
    cap = None if progress.state == "done" else progress.cap
    if changed:
        what = f"{schedule.name}, step {progress.step + 1}, {progress.state}"
        await _cap(connection, row["lane_id"], why, None if cap is None else what, cap, row["cap"])
    return f"{row['source']}/{row['provider_group']}: {progress.state}, {row['cap']} -> {cap}: {why}"


async def _cap(
    connection: Connection, lane_id: Any, why: str, reason: str | None, cap: int | None, before: int | None
) -> None:
    await repository.cap_lane(connection, lane_id, cap, reason)
    before_text, after_text = (orjson.dumps({"daily_cap": value}).decode() for value in (before, cap))
    decision = (
        new_uuid(),
        lane_id,
        None,
        datetime.now(UTC),
        "warmup",
        "warmup",
        why,
        0,
        None,
        before_text,
        after_text,
    )
    await lanes.write_decisions(connection, [decision], [])
