"""Plans that PostgreSQL keeps must not read whole tables, nor whole partitions that were empty when they were made."""

from __future__ import annotations

import asyncpg

from penguinmails_core.events import cursor_repository
from penguinmails_core.kit.db import Connection
from penguinmails_webhooks import outcome_repository, repository
from penguinmails_webhooks.fanout import Fanout
from tests.webhooks.engine.world import World

_TABLES = ("events", "webhook_deliveries", "webhook_attempts", "webhook_endpoints")
_RECORDED = (
    "uuid[], uuid[], uuid[], uuid[], smallint[], timestamptz[], int[], smallint[], text[], text[], text[], "
    "float8[], boolean[], text[]"
)


async def kept_plan(connection: Connection, types: str, sql: str) -> str:
    """The plan that is kept, made for any values."""
    await connection.execute("set local plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare kept ({types}) as {sql}")
    values = ", ".join(["null"] * len(types.split(",")))
    rows = await connection.fetch(f"explain execute kept ({values})")
    await connection.execute("deallocate kept")
    return "\n".join(row[0] for row in rows)


async def test_kept_plans_look_rows_up_one_by_one(world: World) -> None:
    await world.endpoint("https://hooks.example.com/in")
    await world.happen(500)
    await Fanout(world.database.worker).round()
    await Fanout(world.database.worker).round()
    connection = await asyncpg.connect(world.database.dsn)
    try:
        for table in _TABLES:
            await connection.execute(f"vacuum analyze {table}")
        async with connection.transaction():
            await repository.use_indexes(connection, keep_plans=True)
            claim = await kept_plan(
                connection,
                "uuid[], uuid[], int[], interval, interval, timestamptz, boolean[], timestamptz",
                repository._CLAIM,
            )
            record = await kept_plan(connection, _RECORDED, outcome_repository._RECORD)
            look = await kept_plan(connection, "timestamptz", repository._DUE_ENDPOINTS)
        async with connection.transaction():
            await cursor_repository.lock(connection, "test")
            read = await kept_plan(
                connection, "text, text, text, uuid, int", cursor_repository._READ.format(columns="id")
            )
    finally:
        await connection.close()
    for plan in (claim, record, look, read):
        for table in ("webhook_deliveries", "events"):
            assert f"Seq Scan on {table}" not in plan, plan
    for join in ("(organization_id = w.organization_id) AND (endpoint_id = w.endpoint_id)", "(id = p.id)"):
        assert join in claim, claim
    assert "Index Cond: ((organization_id = r_2.organization_id) AND (id = r_2.delivery_id))" in record, record
    # Most partitions are empty. An index on (organization_id, xid, id) would look as good there, and only there.
    assert claim.count("_pkey on events") >= 9, claim
    assert "xid" not in claim, claim
    assert "ix_webhook_deliveries_due" in look
    assert "Sort  " not in read, read
