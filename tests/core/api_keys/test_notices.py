"""Seven days ahead, once for each end; and what is forgotten 90 days after it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.notices import forget_ended, notice_expiring
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import encode
from penguinmails_core.maintenance.service import Maintenance
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import PrincipalKind
from penguinmails_webhooks.events import envelope_model, render
from tests.fixtures.factories import Tenant, make_tenant


async def make(database: Database, tenant: Tenant, name: str, days: float | None, *, age: float = 30) -> ApiKey:
    ends = utcnow() + timedelta(days=days) if days is not None else None
    key, _ = await create_key(database, tenant.id, mode="live", name=name, expires_at=ends)
    await database.worker.execute(
        "update api_keys set created_at = created_at - make_interval(days => $2) where id = $1", key.id, int(age)
    )
    return key


async def told(database: Database) -> list[str]:
    rows = await database.worker.fetch("select payload from events where type = 'api_key.expiring' order by id")
    return [row["payload"]["name"] for row in rows]


async def test_keys_about_to_end_are_told_of_once(database: Database) -> None:
    tenant = await make_tenant(database)
    soon = await make(database, tenant, "soon", 6.9)
    for name, days, age in (("far", 7.1, 30), ("never", None, 30), ("short", 1, 0)):
        await make(database, tenant, name, days, age=age)
    revoked = await make(database, tenant, "revoked", 3)
    await database.worker.execute("update api_keys set revoked_at = now() where id = $1", revoked.id)
    ended = await make(database, tenant, "ended", 3)
    await database.worker.execute("update api_keys set expires_at = now() where id = $1", ended.id)

    await asyncio.gather(*(notice_expiring(database.worker) for _ in range(3)))
    await Maintenance(database).run_once()
    assert await told(database) == ["soon"]

    row = await database.worker.fetchrow("select * from events where type = 'api_key.expiring'")
    assert (row["resource_id"], row["workspace_id"], row["mode"], row["sequence"]) == (soon.id, None, "live", 1)
    assert row["payload"]["api_key_id"] == encode("key", soon.id)
    assert soon.expires_at is not None
    assert row["payload"]["expires_at"] == rfc3339(soon.expires_at)
    envelope_model(EventType.API_KEY_EXPIRING).model_validate_json(render(row))


async def test_a_new_end_is_told_of_anew(database: Database) -> None:
    tenant = await make_tenant(database)
    key = await make(database, tenant, "soon", 3)
    await notice_expiring(database.worker)
    owner = tenant.principal()
    assert owner.kind is PrincipalKind.API_KEY
    for days in (20, 5):
        changes: dict[str, Any] = {"expires_at": utcnow() + timedelta(days=days)}
        async with database.tenant(tenant.id) as session:
            await service.update(session, owner, key.id, changes)
        await notice_expiring(database.worker)
    assert await told(database) == ["soon", "soon"]
    sequences = await database.worker.fetch("select sequence from events where resource_id = $1 order by id", key.id)
    assert [row["sequence"] for row in sequences] == [1, 2]


async def test_what_ended_long_ago_is_forgotten(database: Database) -> None:
    tenant = await make_tenant(database)
    old, fresh, alive = [await make(database, tenant, name, 30) for name in ("old", "fresh", "alive")]
    for key, days in ((old, 91), (fresh, 89)):
        await database.worker.execute(
            "update api_keys set revoked_at = now() - make_interval(days => $2) where id = $1", key.id, days
        )
    gone = await make(database, tenant, "gone", 30)
    child = await make(database, tenant, "child", 30)
    await database.worker.execute(
        "update api_keys set expires_at = now() - interval '91 days', parent_id = case when id = $2 then $1::uuid end "
        "where id in ($1::uuid, $2::uuid)",
        gone.id,
        child.id,
    )
    for key in (old, alive):
        await database.worker.execute(
            "insert into api_key_sends (organization_id, api_key_id, day, sends, cap) "
            "values ($1, $2, current_date - 91, 1, 1), ($1, $2, current_date - 1, 1, 1)",
            tenant.id,
            key.id,
        )
    assert await forget_ended(database.worker) == 2  # the child first
    assert await forget_ended(database.worker) == 1
    assert await forget_ended(database.worker) == 0
    left = {row["name"] for row in await database.worker.fetch("select name from api_keys")}
    assert left == {"live", "test", "fresh", "alive"}
    assert await database.worker.fetchval("select count(*) from api_key_sends") == 2
