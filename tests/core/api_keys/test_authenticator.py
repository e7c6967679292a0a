"""Looking keys up: seldom, together, and never for what cannot be a key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_core.api_keys import authenticator as module
from penguinmails_core.api_keys.authenticator import Authenticator
from penguinmails_core.api_keys.service import revoke_key
from penguinmails_core.errors import Unauthenticated, Unavailable
from penguinmails_core.kit.crypto import new_api_key
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from tests.fixtures.factories import make_tenant


class CountingPool:
    """A real pool that counts look-ups and can be told to wait."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.look_ups = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, query: str, *arguments: object) -> Any:
        self.look_ups += 1
        row = await self._pool.fetch(query, *arguments)
        await self.gate.wait()
        return row

    async def execute(self, query: str, *arguments: object) -> Any:
        return await self._pool.execute(query, *arguments)


async def test_many_misses_are_one_look_up_and_hits_are_none(database: Database) -> None:
    tenant = await make_tenant(database)
    pool = CountingPool(database.ingest)
    keys = Authenticator(pool)
    found = await asyncio.gather(*(keys.find(tenant.key) for _ in range(20)))
    assert {credential.principal.organization_id for credential in found} == {tenant.id}
    assert keys.cached(tenant.key) is found[0]
    assert (await keys.find(tenant.key)) is found[0]
    assert pool.look_ups == 1


async def test_unknown_keys_are_remembered_and_malformed_ones_never_asked(database: Database) -> None:
    pool = CountingPool(database.ingest)
    keys = Authenticator(pool)
    unknown = new_api_key("live")
    for key in (unknown, unknown, "pm_live_x", unknown[:-1] + "!"):
        with pytest.raises(Unauthenticated):
            await keys.find(key)
    assert pool.look_ups == 1
    assert not keys.known(unknown)


async def test_an_entry_lives_only_so_long(database: Database) -> None:
    tenant = await make_tenant(database)
    pool = CountingPool(database.ingest)
    keys = Authenticator(pool, ttl=0)
    await keys.find(tenant.key)
    await asyncio.sleep(0.001)
    assert keys.cached(tenant.key) is None
    assert keys.known(tenant.key)
    await keys.find(tenant.key)
    assert pool.look_ups == 2


async def test_the_cache_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    keys = Authenticator(database.ingest)
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await keys.find(new_api_key("live"))
    assert len(keys._cache) == 3


async def test_a_look_up_from_before_a_revocation_is_not_kept(database: Database) -> None:
    tenant = await make_tenant(database)
    pool = CountingPool(database.ingest)
    keys = Authenticator(pool)
    pool.gate.clear()
    early = asyncio.create_task(keys.find(tenant.key))
    while pool.look_ups == 0:
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    await revoke_key(database, Doorbell(), tenant.id, tenant.live_key.id)
    keys.forget()
    pool.gate.set()
    await early
    with pytest.raises(Unauthenticated):
        (await keys.find(tenant.key)).check()


async def test_last_use_is_written_in_one_go(database: Database) -> None:
    tenant = await make_tenant(database)
    keys = Authenticator(database.ingest)
    await keys.start()
    for key, address in ((tenant.key, "192.0.2.1"), (tenant.key, "192.0.2.2"), (tenant.test, "")):
        keys.seen((await keys.find(key)).check(), address)
    unused = "select count(*) from api_keys where last_used_at is null"
    assert await database.worker.fetchval(unused) == 2
    await keys.stop()
    assert await database.worker.fetchval(unused) == 0
    assert await database.worker.fetchval("select last_used_ip from api_keys where mode = 'live'") == "192.0.2.2"


async def test_without_a_database_it_is_unavailable(database: Database) -> None:
    tenant = await make_tenant(database)
    keys = Authenticator(database.ingest)
    await database.ingest.close()
    with pytest.raises(Unavailable):
        await keys.find(tenant.key)
