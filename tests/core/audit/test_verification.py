"""Every way of tampering shows, at its first place, and retention does not look like tampering."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from penguinmails_core.audit import repository
from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.audit.verification import verify
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from tests.fixtures.factories import Tenant, make_tenant

LAST = 10  # entries of the log of each test


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody with all rights over the database, as a thief or a careless administrator has."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def tenant(database: Database, owner: asyncpg.Connection) -> Tenant:
    tenant = await make_tenant(database)
    await owner.execute("delete from audit_logs")
    await owner.execute("delete from audit_heads")
    await make_tenant(database, "Umbrella")
    for number in range(LAST):
        await write(database, tenant, number)
    return tenant


async def write(database: Database, tenant: Tenant, number: int = 0) -> None:
    async with database.tenant(tenant.id) as session:
        resource = Resource(Prefix.DOMAIN, new_uuid())
        await audit.record(session, Actor.of(tenant.principal()), "domain.created", resource, after={"n": number})


async def test_a_whole_chain_verifies(database: Database, tenant: Tenant) -> None:
    verdict = await verify(database, tenant.id)
    assert verdict.broken is None
    assert (verdict.entries, verdict.sequence, verdict.dropped) == (LAST, LAST, 0)


@pytest.mark.parametrize(
    "change",
    [
        "after = '{\"n\": 99}'",
        "action = 'domain.deleted'",
        "actor_label = 'somebody else'",
        "at = at + interval '1 microsecond'",
        "ip = '192.0.2.66'",
        "workspace_id = gen_random_uuid()",
        "hash = sha256('x')",
    ],
)
async def test_a_changed_entry(database: Database, tenant: Tenant, owner: asyncpg.Connection, change: str) -> None:
    await owner.execute(f"update audit_logs set {change} where organization_id = $1 and sequence = 5", tenant.id)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert (broken.sequence, broken.reason) == (5, "the entry was changed after it was written")
    assert broken.entry_id is not None


async def test_an_entry_changed_with_its_hash(database: Database, tenant: Tenant, owner: asyncpg.Connection) -> None:
    """Whoever recomputes one hash breaks the link of the next."""
    from penguinmails_core.audit.chain import hash_of

    async with database.worker.acquire() as connection:
        rows = [row async for page in repository.pages(connection, tenant.id) for row in page]
    changed = rows[4] | {"action": "domain.deleted"}
    await owner.execute(
        "update audit_logs set action = 'domain.deleted', hash = $2 where organization_id = $1 and sequence = 5",
        tenant.id,
        hash_of(changed, changed["previous_hash"]),
    )
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert (broken.sequence, broken.reason[:9]) == (6, "the entry")


async def test_a_deleted_entry(database: Database, tenant: Tenant, owner: asyncpg.Connection) -> None:
    await owner.execute("delete from audit_logs where organization_id = $1 and sequence = 4", tenant.id)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert (broken.sequence, broken.entry_id) == (4, None)
    assert "missing" in broken.reason


async def test_a_deleted_first_entry(database: Database, tenant: Tenant, owner: asyncpg.Connection) -> None:
    await owner.execute("delete from audit_logs where organization_id = $1 and sequence = 1", tenant.id)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert broken.sequence == 1


async def test_two_entries_that_changed_places(database: Database, tenant: Tenant, owner: asyncpg.Connection) -> None:
    await owner.execute("update audit_logs set sequence = -1 where organization_id = $1 and sequence = 4", tenant.id)
    await owner.execute("update audit_logs set sequence = 4 where organization_id = $1 and sequence = 6", tenant.id)
    await owner.execute("update audit_logs set sequence = 6 where organization_id = $1 and sequence = -1", tenant.id)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert broken.sequence == 4


@pytest.mark.parametrize("sequence", [-5, 0, LAST + 1])
async def test_an_inserted_entry(database: Database, tenant: Tenant, owner: asyncpg.Connection, sequence: int) -> None:
    await owner.execute(
        """
        insert into audit_logs (organization_id, id, sequence, at, mode, actor_kind, action, resource_type,
          resource_id, previous_hash, hash)
        select organization_id, gen_random_uuid(), $2, now(), mode, actor_kind, action, resource_type, resource_id,
          hash, hash
        from audit_logs where organization_id = $1 and sequence = $3
        """,
        tenant.id,
        sequence,
        LAST,
    )
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert broken.sequence == sequence


@pytest.mark.parametrize("left", [LAST - 1, 5, 0])
async def test_a_cut_end(database: Database, tenant: Tenant, owner: asyncpg.Connection, left: int) -> None:
    await owner.execute("delete from audit_logs where organization_id = $1 and sequence > $2", tenant.id, left)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert broken.sequence == left + 1
    assert "cut off" in broken.reason


async def test_a_deleted_head(database: Database, tenant: Tenant, owner: asyncpg.Connection) -> None:
    await owner.execute("delete from audit_heads where organization_id = $1", tenant.id)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert "head" in broken.reason
    assert tenant.id in await repository.organizations(database.worker)


async def test_a_log_rewritten_as_a_whole(database: Database, tenant: Tenant, owner: asyncpg.Connection) -> None:
    """A chain that is consistent in itself differs from what somebody noted elsewhere."""
    noted = await verify(database, tenant.id)
    await write(database, tenant)
    assert (await verify(database, tenant.id, noted=(noted.sequence, noted.hash))).broken is None
    await owner.execute("delete from audit_logs where organization_id = $1", tenant.id)
    await owner.execute("delete from audit_heads where organization_id = $1", tenant.id)
    for number in range(LAST + 1):
        await write(database, tenant, number)
    assert (await verify(database, tenant.id)).broken is None
    broken = (await verify(database, tenant.id, noted=(noted.sequence, noted.hash))).broken
    assert broken is not None
    assert "rewritten" in broken.reason
    broken = (await verify(database, tenant.id, noted=(99, noted.hash))).broken
    assert broken is not None
    assert broken.sequence == 99


async def test_what_retention_drops_leaves_a_chain_that_verifies(database: Database, tenant: Tenant) -> None:
    oldest = await database.worker.fetchval(
        "select at from audit_logs where organization_id = $1 and sequence = 6", tenant.id
    )
    assert await repository.organizations_with_entries_before(database.worker, oldest - timedelta(days=1)) == []
    assert tenant.id in await repository.organizations_with_entries_before(database.worker, oldest)
    assert await repository.forget(database.worker, tenant.id, oldest, 2) == 2
    assert await repository.forget(database.worker, tenant.id, oldest, 100) == 3
    assert await repository.forget(database.worker, tenant.id, oldest, 100) == 0
    await write(database, tenant)
    verdict = await verify(database, tenant.id)
    assert verdict.broken is None
    assert (verdict.entries, verdict.dropped, verdict.sequence) == (LAST - 5 + 1, 5, LAST + 1)


async def test_all_entries_may_be_too_old(database: Database, tenant: Tenant) -> None:
    assert await repository.forget(database.worker, tenant.id, utcnow() + timedelta(days=1), 100) == LAST
    verdict = await verify(database, tenant.id)
    assert (verdict.broken, verdict.entries, verdict.dropped) == (None, 0, LAST)
    await write(database, tenant)
    assert (await verify(database, tenant.id)).broken is None


async def test_a_deletion_behind_the_anchor_shows(
    database: Database, tenant: Tenant, owner: asyncpg.Connection
) -> None:
    oldest = await database.worker.fetchval(
        "select at from audit_logs where organization_id = $1 and sequence = 6", tenant.id
    )
    await repository.forget(database.worker, tenant.id, oldest, 100)
    await owner.execute("delete from audit_logs where organization_id = $1 and sequence = 6", tenant.id)
    broken = (await verify(database, tenant.id)).broken
    assert broken is not None
    assert broken.sequence == 6


async def test_maintenance_drops_what_is_too_old(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "utcnow", lambda: utcnow() + timedelta(days=800))
    assert await audit.drop_old(database.worker, timedelta(days=730), bite=4) >= LAST
    verdict = await verify(database, tenant.id)
    assert (verdict.broken, verdict.entries, verdict.dropped) == (None, 0, LAST)
