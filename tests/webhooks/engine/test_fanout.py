"""Who is owed what."""

from __future__ import annotations

import asyncpg
import pytest

from penguinmails_core.kit.ids import new_uuid
from penguinmails_webhooks.fanout import Fanout
from tests.fixtures.factories import make_event, make_tenant, make_workspace
from tests.webhooks.engine.world import World

URL = "https://hooks.example.com/in"


async def fan_out(world: World, page: int = 1000) -> tuple[int, int]:
    """(events read, deliveries made)"""
    read = created = 0
    more = True
    while more:
        round_ = await Fanout(world.database.worker, page=page).round()
        read, created, more = read + round_.read, created + round_.created, round_.more
    return read, created


async def test_only_what_was_asked_for(world: World) -> None:
    all_of_it, _ = await world.endpoint(URL)
    family, _ = await world.endpoint(URL, ("email.*",))
    exact, _ = await world.endpoint(URL, ("email.bounced", "webhook_endpoint.disabled"))
    for kind in ("email.queued", "email.bounced", "webhook_endpoint.disabled", "webhook.test"):
        await world.happen(type_=kind)
    assert await fan_out(world) == (4, 7)
    types = {
        endpoint.id: sorted(row["event_type"] for row in await world.deliveries(endpoint))
        for endpoint in (all_of_it, family, exact)
    }
    assert types == {
        # A test event is owed to the one endpoint that it was asked for, and never by fan-out.
        all_of_it.id: ["email.bounced", "email.queued", "webhook_endpoint.disabled"],
        family.id: ["email.bounced", "email.queued"],
        exact.id: ["email.bounced", "webhook_endpoint.disabled"],
    }


async def test_tenants_modes_and_workspaces_are_apart(world: World) -> None:
    other = await make_tenant(world.database, "Umbrella")
    brand = await make_workspace(world.database, world.tenant.id, "brand")
    endpoints = {
        "live": await world.endpoint(URL),
        "test": await world.endpoint(URL, principal=world.tenant.principal("test")),
        "brand": await world.endpoint(URL, principal=world.tenant.principal(workspace_id=brand)),
        "other": await world.endpoint(URL, principal=other.principal()),
    }
    happened = {
        "live": await world.happen(),
        "test": await world.happen(mode="test"),
        "brand": await world.happen(workspace_id=brand),
        "nowhere": await world.happen(workspace_id=None),
        "other": await world.happen(tenant=other),
    }
    await fan_out(world)
    got = {
        name: {row["event_id"] for row in await world.deliveries(endpoint)} for name, (endpoint, _) in endpoints.items()
    }
    assert got == {
        "live": {*happened["live"], *happened["brand"], *happened["nowhere"]},
        "test": set(happened["test"]),
        "brand": set(happened["brand"]),
        "other": set(happened["other"]),
    }


async def test_an_endpoint_gets_what_happens_after_it_was_made(world: World) -> None:
    await world.happen()
    await world.endpoint(URL)
    after = await world.happen()
    assert await fan_out(world) == (2, 1)
    assert [row["event_id"] for row in await world.deliveries()] == after


async def test_disabled_endpoints_are_owed_nothing(world: World) -> None:
    await world.endpoint(URL)
    await world.database.worker.execute("update webhook_endpoints set status = 'disabled'")
    await world.happen()
    assert await fan_out(world) == (1, 0)


async def test_organizations_without_endpoints_cost_no_rows(world: World) -> None:
    await world.happen(50)
    assert await fan_out(world, page=20) == (50, 0)
    assert await world.deliveries() == []


async def test_deliveries_and_cursor_are_one_transaction(world: World) -> None:
    """The insert fails: the events are not passed over."""
    await world.endpoint(URL)
    await world.happen(3)
    owner = await asyncpg.connect(world.database.dsn)
    try:
        await owner.execute("alter table webhook_deliveries add constraint broken check (event_type = '') not valid")
        with pytest.raises(asyncpg.CheckViolationError):
            await fan_out(world)
        await owner.execute("alter table webhook_deliveries drop constraint broken")
    finally:
        await owner.execute("alter table webhook_deliveries drop constraint if exists broken")
        await owner.close()
    assert await fan_out(world) == (3, 3)


async def test_deliveries_are_due_in_the_order_of_the_events(world: World) -> None:
    await world.endpoint(URL)
    resource = new_uuid()
    sequences = [3, 1, 2, 5, 4]
    async with world.database.worker.acquire() as connection, connection.transaction():
        for sequence in sequences:
            await make_event(connection, world.tenant.id, world.tenant.workspace_id, resource, {}, sequence=sequence)
    await fan_out(world)
    rows = await world.database.worker.fetch(
        "select e.sequence from webhook_deliveries d join events e on e.id = d.event_id order by d.due_at"
    )
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4, 5]


async def test_a_long_log_of_one_tenant_does_not_hold_up_another(world: World) -> None:
    """The other's event is owed after the first page, long before its turn in the log, and once."""
    other = await make_tenant(world.database, "Umbrella")
    await world.endpoint(URL)
    fresh, _ = await world.endpoint(URL, principal=other.principal())
    kept, _ = await world.endpoint(URL, principal=other.principal(), fifo="endpoint")
    fanout = Fanout(world.database.worker, page=20)
    while (await fanout.round()).more:
        pass
    await world.happen(200)
    happened = await world.happen(3, tenant=other)
    await fanout.round()
    assert await world.deliveries(fresh) == []
    early = await fanout.express()
    assert early.owed.keys() >= {(other.id, fresh.id)}
    assert {row["event_id"] for row in await world.deliveries(fresh)} == set(happened)
    assert await world.deliveries(kept) == []  # in the order of the log, which only the log has
    assert (await fanout.express()).created == 0  # a moment later
    while (await fanout.round()).more:
        pass
    assert len(await world.deliveries(fresh)) == len(await world.deliveries(kept)) == 3
    assert len(await world.deliveries()) == 206


async def test_the_express_lane_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penguinmails_webhooks.express._LEAST_GAP", 0)
    monkeypatch.setattr("penguinmails_webhooks.express._SHARE", 0)
    await world.endpoint(URL)
    fanout = Fanout(world.database.worker, page=10)
    while (await fanout.round()).more:
        pass
    await world.happen(120)
    await fanout.round()
    made = [(await fanout.express()).created for _ in range(4)]
    assert made == [40, 50, 20, 0]  # the first ten were read already
    while (await fanout.round()).more:
        pass
    assert len(await world.deliveries()) == 120
