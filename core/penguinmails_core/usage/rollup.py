"""What the worker writes down of usage: the sends of days that are over, delivery outcomes by hour, and what is old
goes. Everything is counted anew from the messages and events, so doing it twice, or in two processes, changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from penguinmails_core.kit.db import Database
from penguinmails_core.usage import delivery_repository as delivery
from penguinmails_core.usage import repository
from penguinmails_core.usage.periods import Span, period

SETTLED = timedelta(minutes=15)  # after midnight: a message that was made before it may still be committed
KEEP = timedelta(days=400)
KEEP_HOURS = timedelta(days=30)
LOOK_BACK = timedelta(days=7)


async def roll_up_sends(database: Database, now: datetime) -> int:
    """Close the days that are over; returns how many."""
    today = period(Span.DAY, now - SETTLED).start
    closed = 0
    async with database.worker.acquire() as connection:
        done = await repository.done_until(connection, repository.SENDS)
        if done is None:
            first = await repository.first_message_at(connection)
            done = period(Span.DAY, first if first is not None else now - SETTLED).start
        while done < today:
            async with connection.transaction():
                await repository.roll_up_day(connection, done, done + timedelta(days=1))
                done += timedelta(days=1)
                await repository.set_done_until(connection, repository.SENDS, done)
            closed += 1
    return closed


async def roll_up_deliveries(database: Database, now: datetime) -> None:
    """Count the running hour and the one before it anew, and all since the last time."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    async with database.worker.acquire() as connection, connection.transaction():
        done = await repository.done_until(connection, delivery.NAME)
        since = max(hour - LOOK_BACK, done - timedelta(hours=1)) if done is not None else hour - LOOK_BACK
        await delivery.roll_up(connection, since)
        await repository.set_done_until(connection, delivery.NAME, hour)


async def forget(database: Database, now: datetime) -> None:
    await repository.forget_counters(database.worker, (now - KEEP).date())
    await delivery.forget(database.worker, now - KEEP_HOURS)
