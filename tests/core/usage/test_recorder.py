"""Requests are counted in memory and added to what is there; an outage costs nothing that is still in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.principal import PrincipalKind
from penguinmails_core.usage import recorder, service
from penguinmails_core.usage.recorder import UsageRecorder, actor_of
from tests.fixtures.factories import Tenant, make_tenant
from tests.fixtures.mail import principal


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


async def rows(database: Database, tenant: Tenant) -> list[tuple[int, ...]]:
    found = await database.worker.fetch(
        "select requests, cost, refused, errors from usage_counters where organization_id = $1", tenant.id
    )
    return [tuple(row) for row in found]


async def test_two_processes_add_up(database: Database, tenant: Tenant) -> None:
    one, two = UsageRecorder(database.ingest), UsageRecorder(database.ingest)
    for part in (one, two):
        for status, cost in ((200, 1), (202, 3), (404, 1), (429, 0)):
            part.add(tenant.principal(), "emails_send", cost, status)
    await asyncio.gather(one.stop(), two.stop())
    assert await rows(database, tenant) == [(8, 10, 2, 2)]
    await one.flush()
    assert await rows(database, tenant) == [(8, 10, 2, 2)]


async def test_many_rows_by_two_processes_do_not_deadlock(database: Database) -> None:
    tenants = [await make_tenant(database, f"T{n}") for n in range(6)]
    parts = [UsageRecorder(database.ingest) for _ in range(2)]
    for _ in range(10):
        for part, order in zip(parts, (tenants, tenants[::-1]), strict=True):
            for tenant in order:
                for number in range(5):
                    part.add(tenant.principal(), f"operation_{number}", 1, 200)
        await asyncio.gather(*(part.flush() for part in parts))
    assert await database.worker.fetchval("select sum(requests) from usage_counters") == 2 * 10 * 6 * 5


async def test_what_cannot_be_written_is_kept(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = UsageRecorder(database.ingest)
    part.add(tenant.principal(), "me_get", 1, 200)
    lost = UsageRecorder(_Nobody())
    lost.add(tenant.principal(), "me_get", 1, 200)
    await lost.flush()
    lost._pool = database.ingest
    lost.add(tenant.principal(), "me_get", 1, 200)
    await lost.flush()
    assert await rows(database, tenant) == [(2, 2, 0, 0)]
    monkeypatch.setattr(recorder, "MAX_KEYS", 1)
    part.add(tenant.principal(), "other", 1, 200)  # beyond the bound: not counted, and no memory taken
    assert len(part._counts) == 1


class _Nobody:
    """A database that is away."""

    async def execute(self, *_: object) -> None:
        raise ConnectionRefusedError


async def test_usage_of_one_key_by_operation(database: Database, tenant: Tenant) -> None:
    part = UsageRecorder(database.ingest)
    for operation, count in (("me_get", 1), ("emails_send", 3)):
        for _ in range(count):
            part.add(tenant.principal(), operation, 1, 200)
    part.add(replace(tenant.principal(), id=new_uuid()), "me_get", 1, 200)
    await part.flush()
    today = utcnow().date()
    async with database.tenant(tenant.id) as session:
        found = await service.usage_of_key(session, tenant.live_key, service.Days(today - timedelta(days=1), today))
    assert [(row["operation"], row["requests"]) for row in found.by_operation] == [("emails_send", 3), ("me_get", 1)]
    assert [row["requests"] for row in found.by_day] == [0, 4]


def test_whose_usage_it_is() -> None:
    app, user = new_uuid(), new_uuid()
    base = principal()
    assert actor_of(base) == ("api_key", base.id)
    assert actor_of(replace(base, kind=PrincipalKind.OAUTH, app_id=app, user_id=user)) == ("oauth_app", app)
    assert actor_of(replace(base, kind=PrincipalKind.SESSION, user_id=user)) == ("user", user)
