"""Looking keys up: seldom, together, and never for what cannot be a key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_core.api_keys import authenticator as module
from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.authenticator import Authenticator, Credential
from penguinmails_core.api_keys.service import revoke_key
from penguinmails_core.errors import ConstraintViolated, Unauthenticated, Unavailable
from penguinmails_core.kit.crypto import new_api_key
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.models import ApiKey
from tests.fixtures.factories import Tenant, make_tenant


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


async def derive(database: Database, tenant: Tenant, **values: Any) -> tuple[ApiKey, str]:
    caller = tenant.principal()
    async with database.tenant(tenant.id) as session:
        wanted = {"name": "child", "scopes": ["emails:write"], **values}
        return await service.derive(session, caller, caller.id, wanted)


async def test_a_derived_key_ends_with_its_parent_while_it_is_cached(database: Database) -> None:
    tenant = await make_tenant(database)
    _, child = await derive(database, tenant)
    bell = Doorbell()
    keys = Authenticator(database.ingest, bell, ttl=3600)
    await keys.start()
    try:
        assert (await keys.find(child)).check().scopes == {"emails:write", "emails:read"}
        await revoke_key(database, bell, tenant.id, tenant.live_key.id)
        async with asyncio.timeout(10):
            while keys.cached(child) is not None:
                await asyncio.sleep(0)
        with pytest.raises(Unauthenticated, match="revoked"):
            (await keys.find(child)).check()
    finally:
        await keys.stop()


async def test_a_derived_key_never_outlives_or_outdoes_its_parent(database: Database) -> None:
    """Even when the rows of the two have come to disagree: the whole line is read."""
    tenant = await make_tenant(database)
    row, child = await derive(database, tenant, max_sends_per_day=5)
    set_parent = "update api_keys set {} where id = $1"

    async def look_up() -> Credential:
        return await Authenticator(database.ingest).find(child)

    await database.worker.execute(
        set_parent.format(
            "scopes = '{emails:read}', allowed_ips = '{192.0.2.0/24}', allowed_domains = '{one.test}', "
            "allowed_mailboxes = '{a@one.test}', max_sends_per_day = 3, expires_at = now() + interval '1 minute'"
        ),
        tenant.live_key.id,
    )
    credential = await look_up()
    principal = credential.check()
    assert principal.scopes == {"emails:read"}
    assert principal.constraints is not None
    assert principal.constraints.domains == frozenset(("one.test",))
    assert principal.constraints.mailboxes == frozenset(("a@one.test",))
    assert [(cap.key_id, cap.limit) for cap in principal.constraints.caps] == [(row.id, 5), (tenant.live_key.id, 3)]
    assert credential.expires_at is not None
    assert row.expires_at is not None
    assert credential.expires_at < row.expires_at.timestamp()
    credential.check_address("192.0.2.1")
    with pytest.raises(ConstraintViolated):
        credential.check_address("198.51.100.1")
    # Two allowlists that share nothing let nobody in, not everybody.
    await database.worker.execute("update api_keys set allowed_ips = '{10.0.0.0/8}' where id = $1", row.id)
    credential = await look_up()
    for address in ("192.0.2.1", "10.0.0.1"):
        with pytest.raises(ConstraintViolated):
            credential.check_address(address)
    await database.worker.execute(set_parent.format("expires_at = now()"), tenant.live_key.id)
    with pytest.raises(Unauthenticated, match="expired"):
        (await look_up()).check()
    await database.worker.execute("delete from api_keys where id = $1", tenant.live_key.id)
    with pytest.raises(Unauthenticated, match="revoked"):
        (await look_up()).check()


async def test_keys_without_limits_carry_none(database: Database) -> None:
    tenant = await make_tenant(database)
    credential = await Authenticator(database.ingest).find(tenant.key)
    assert credential.networks == ()
    assert credential.principal.constraints is None
