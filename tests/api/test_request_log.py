"""The queue before the request log: bounded, patient with the database, complete at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.client_address import ClientAddresses
from penguinmails_api.context import RequestContext
from penguinmails_api.request_log import RequestLog
from penguinmails_api.services import Services
from penguinmails_core.config import RequestLogSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.request_logs import repository
from penguinmails_core.request_logs.service import shown_address
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant

Note = Callable[[RequestLog, int], None]


@pytest.fixture
def note(services: Services, tenant: Tenant) -> Note:
    def add(log: RequestLog, count: int) -> None:
        for number in range(count):
            scope: dict[str, Any] = {"client": ("192.0.2.77", 1), "headers": []}
            request_id = ids.encode(Prefix.REQUEST, new_uuid())
            context = RequestContext(request_id, services, 0.0, scope, principal=tenant.principal())
            log.add(context, "GET", f"/n/{number}", 200, 0.001)

    return add


async def count(database: Database) -> int:
    found: int = await database.worker.fetchval("select count(*) from request_logs")
    return found


async def opened(database: Database, **settings: Any) -> RequestLog:
    log = RequestLog(database.dsn, ClientAddresses(), RequestLogSettings(**settings))
    await log.start()
    return log


async def test_many_batches_and_the_rest_at_the_end(database: Database, note: Note) -> None:
    log = await opened(database)
    note(log, 1234)
    await log.stop()
    assert (log.written, log.dropped, await count(database)) == (1234, 0, 1234)


async def test_the_queue_is_bounded_and_drops_the_oldest(database: Database, note: Note) -> None:
    log = await opened(database, buffer=100)
    note(log, 130)
    await log.stop()
    assert (log.written, log.dropped) == (100, 30)
    assert await database.worker.fetchval("select count(*) from request_logs where route = '/n/29'") == 0
    assert await database.worker.fetchval("select count(*) from request_logs where route = '/n/30'") == 1


async def test_what_cannot_be_written_waits(database: Database, note: Note, monkeypatch: pytest.MonkeyPatch) -> None:
    log = await opened(database, buffer=100)
    insert = repository.insert

    async def away(*_: Any) -> None:
        note(log, 40)  # meanwhile requests go on
        raise asyncpg.ConnectionDoesNotExistError("gone")

    monkeypatch.setattr(repository, "insert", away)
    note(log, 80)
    await log.flush()
    assert log.dropped == 20
    monkeypatch.setattr(repository, "insert", insert)
    await log.stop()
    assert (log.written, log.dropped, await count(database)) == (100, 20, 100)


async def test_a_batch_written_twice_is_there_once(database: Database, note: Note, tenant: Tenant) -> None:
    request_id = new_uuid()
    at = repository.time_of(request_id)
    row = repository.Row(
        *(tenant.id, request_id, at, None, "live", "GET", "/", 200, None, 1, "api_key", new_uuid(), None, None, None)
    )
    for _ in range(2):
        await repository.insert(database.worker, [row])
    assert await count(database) == 1
    assert abs(at - utcnow()) < timedelta(minutes=1)


async def test_sampling_keeps_every_error(database: Database, note: Note, services: Services, tenant: Tenant) -> None:
    log = await opened(database, sample=0)
    note(log, 50)
    scope: dict[str, Any] = {"client": None, "headers": []}
    context = RequestContext(ids.encode(Prefix.REQUEST, new_uuid()), services, 0.0, scope, tenant.principal())
    log.add(context, "GET", "/failed", 404, 0.001)
    await log.stop()
    assert await count(database) == 1


async def test_it_can_be_turned_off(services: Services, database: Database, tenant: Tenant) -> None:
    quiet = RequestLog(database.dsn, ClientAddresses(), RequestLogSettings(enabled=False))
    await quiet.start()
    async with ApiClient(create_gateway(replace(services, request_log=quiet)), tenant.key) as client:
        assert (await client.get("/v1/me")).status_code == 200
    await quiet.stop()
    await services.request_log.flush()
    assert await count(database) == 0


@pytest.mark.parametrize(
    ("address", "how", "shown"),
    [
        ("192.0.2.77", "masked", "192.0.2.0"),
        ("::ffff:192.0.2.77", "masked", "192.0.2.0"),
        ("2001:db8:1:2:3::4", "masked", "2001:db8:1::"),
        ("192.0.2.77", "full", "192.0.2.77"),
        ("192.0.2.77", "off", None),
        ("", "masked", None),
        ("unknown", "masked", None),
    ],
)
def test_addresses(address: str, how: Any, shown: str | None) -> None:
    assert shown_address(address, how) == shown


async def test_old_days_are_dropped(database: Database, tenant: Tenant) -> None:
    owner = await asyncpg.connect(database.dsn)
    try:
        await owner.execute(
            "create table request_logs_20200101 partition of request_logs "
            "for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')"
        )
        assert await repository.drop_partitions(database.worker, timedelta(days=7)) == 1
        assert await owner.fetchval("select to_regclass('request_logs_20200101')") is None
        assert await repository.ensure_partitions(database.worker, 7) == 0
    finally:
        await owner.execute("drop table if exists request_logs_20200101")
        await owner.close()
