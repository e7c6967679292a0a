"""Sends are counted from messages: closed days from the roll-up, the rest live, and both say the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.usage import repository, rollup
from penguinmails_core.usage.periods import Span, first_id, period
from penguinmails_core.usage.spent import spent_of
from tests.fixtures.factories import Recipient, Tenant, make_email, make_tenant


def two() -> list[Recipient]:
    return [Recipient("ada@example.com"), Recipient("bob@example.com")]


async def totals(database: Database, tenant: Tenant, now: datetime) -> dict[tuple[str, str], int]:
    async with database.tenant(tenant.id) as session:
        start = period(Span.DAY, now - timedelta(days=3)).start
        rows = await repository.sends(session, tenant.id, start, period(Span.DAY, now).end)
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["day"].isoformat(), row["mode"])
        assert key not in found, "a day is counted once"
        found[key] = int(row["sends"])
    return found


async def test_closed_days_and_live_ones_add_up(database: Database) -> None:
    tenant, other, now = await make_tenant(database), await make_tenant(database, "Umbrella"), utcnow()
    yesterday = period(Span.DAY, now).start - timedelta(hours=1)
    await make_email(database, tenant, two(), created_at=yesterday)
    await make_email(database, tenant, created_at=yesterday - timedelta(days=1), mode="test")
    await make_email(database, tenant, two(), created_at=now)
    await make_email(database, other, two(), created_at=yesterday)
    before = await totals(database, tenant, now)
    assert sorted(before.values()) == [1, 2, 2]
    noon = period(Span.DAY, now).start + timedelta(hours=12)
    assert await rollup.roll_up_sends(database, noon) == 2
    assert await rollup.roll_up_sends(database, noon) == 0
    assert await totals(database, tenant, now) == before
    # What is rolled up outlives the messages.
    await database.worker.execute("delete from email_messages where created_at < $1", period(Span.DAY, now).start)
    assert await totals(database, tenant, now) == before


async def test_a_day_is_closed_only_when_it_is_settled(database: Database) -> None:
    tenant = await make_tenant(database)
    midnight = period(Span.DAY, utcnow()).start
    await make_email(database, tenant, created_at=midnight - timedelta(hours=1))
    assert await rollup.roll_up_sends(database, midnight + timedelta(minutes=5)) == 0
    assert await rollup.roll_up_sends(database, midnight + timedelta(minutes=20)) == 1


async def test_two_workers_roll_up_the_same(database: Database) -> None:
    tenant, now = await make_tenant(database), utcnow()
    await make_email(database, tenant, two(), created_at=now - timedelta(days=2))
    noon = period(Span.DAY, now).start + timedelta(hours=12)
    await asyncio.gather(rollup.roll_up_sends(database, noon), rollup.roll_up_sends(database, noon))
    assert sum((await totals(database, tenant, now)).values()) == 2


async def test_what_was_spent_is_of_this_day_and_month(database: Database) -> None:
    tenant, now = await make_tenant(database), utcnow()
    await make_email(database, tenant, two(), created_at=now)
    await make_email(database, tenant, two(), created_at=now, mode="test")
    await make_email(database, tenant, created_at=period(Span.MONTH, now).start - timedelta(hours=1))
    spent = await spent_of(database.worker, tenant.id)
    assert (spent.today, spent.this_month) == (2, 2)
    assert (spent.day, spent.month) == (period(Span.DAY, now), period(Span.MONTH, now))


def test_periods_are_of_the_calendar_in_utc() -> None:
    at = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert period(Span.MONTH, at) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert period(Span.DAY, at).end == datetime(2027, 1, 1, tzinfo=UTC)
    assert first_id(at).int >> 80 == int(at.timestamp() * 1000)


async def test_old_counters_go(database: Database) -> None:
    tenant, now = await make_tenant(database), utcnow()
    old, young = (now - timedelta(days=401)).date(), (now - timedelta(days=399)).date()
    rows = [(tenant.id, day, "live", "api_key", tenant.live_key.id, "me_get", 1, 1, 0, 0) for day in (old, young)]
    await repository.add_counters(database.ingest, rows)
    await rollup.forget(database, now)
    assert [row["day"] for row in await database.worker.fetch("select day from usage_counters")] == [young]
