"""What can never count again goes, and nothing else does."""

from __future__ import annotations

from penguinmails_core.oauth.sweep_repository import sweep
from tests.oauth.test_registration import app_of, register
from tests.oauth.world import Flow, World


async def test_only_what_has_ended_goes(world: World) -> None:
    pool = world.services.database.worker
    app = await world.app()
    live = await world.tokens(app)
    await world.code(app, Flow())  # never fetched
    await world.post("device_authorization", app.auth)
    await register(world)
    await sweep(pool)
    tables = ("oauth_grants", "oauth_codes", "oauth_devices", "oauth_apps")
    counts = "select " + ", ".join(f"(select count(*) from {table})" for table in tables)
    assert tuple(await pool.fetchrow(counts)) == (2, 2, 1, 2)
    for table in ("oauth_codes", "oauth_devices", "oauth_interactions"):
        await pool.execute(f"update {table} set expires_at = now() - interval '2 days'")
    await pool.execute("update oauth_grants set created_at = now() - interval '2 days'")
    await pool.execute("update oauth_apps set created_at = now() - interval '31 days', last_used_at = null")
    await sweep(pool)
    assert tuple(await pool.fetchrow(counts)) == (1, 0, 0, 1)
    assert (await world.refresh(app, live["refresh_token"])).status_code == 200
    await pool.execute("update oauth_refresh_tokens set expires_at = now() - interval '1 hour'")
    await pool.execute("update oauth_grants set last_used_at = now() - interval '91 days'")
    await sweep(pool)
    assert tuple(await pool.fetchrow(counts)) == (0, 0, 0, 1)


async def test_a_registered_app_that_is_used_stays(world: World) -> None:
    pool = world.services.database.worker
    app, flow = app_of(await register(world)), Flow()
    assert (await world.exchange(app, flow, await world.code(app, flow))).status_code == 200
    await pool.execute("update oauth_apps set last_used_at = now() - interval '31 days'")
    await sweep(pool)
    assert await pool.fetchval("select count(*) from oauth_apps") == 1
