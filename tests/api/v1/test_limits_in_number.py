"""What a plan limits in number: the last place is given once, and the refusal says how to get more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from penguinmails_api.services import Services, Settings
from penguinmails_core.audit.actor import Actor
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.domains import manage as domains
from penguinmails_core.domains.service import new_keys
from penguinmails_core.errors import LimitReached
from penguinmails_core.identity.sessions import new_token, token_hash
from penguinmails_core.invitations import accepting
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.limits import service as limits
from tests.api.v1.people import World
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import make_domain, make_workspace
from tests.fixtures.locks import blocked
from tests.fixtures.people import make_invitation, make_user

Make = Callable[[ApiClient, str], Coroutine[Any, Any, httpx.Response]]
MAKERS: dict[str, Make] = {
    "max_domains": lambda client, name: client.post("/v1/domains", json={"name": f"{name}.example"}),
    "max_workspaces": lambda client, name: client.post("/v1/workspaces", json={"name": name}),
}


async def allow(world: World, **values: int | None) -> None:
    for name, value in values.items():
        await limits.override(world.services.database, Actor.operator(world.tenant.id), name, value, reason="a test")


@pytest.mark.parametrize("limit", MAKERS)
async def test_the_last_place_is_given_once(world: World, limit: str) -> None:
    await allow(world, **{limit: 2})
    first = 2 if limit == "max_domains" else 1  # there is a default workspace
    for number in range(first):
        assert (await MAKERS[limit](world.client, f"n{number}")).status_code == 201
    await allow(world, **{limit: 3})
    answers = await asyncio.gather(*(MAKERS[limit](world.client, f"late{number}") for number in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    refused = problem(next(answer for answer in answers if answer.status_code == 403), 403, "limit_reached")
    assert (refused["limit_name"], refused["limit"], refused["used"], refused["plan"]) == (limit, 3, 3, "self_hosted")
    assert "larger plan" in refused["detail"]
    rehearsed = await world.client.post(
        f"/v1/{limit.removeprefix('max_')}?dry_run=true", json={"name": "rehearsed.example"}
    )
    problem(rehearsed, 403, "limit_reached")
    await allow(world, **{limit: None})
    assert (await MAKERS[limit](world.client, "more")).status_code == 201


async def test_who_waits_for_the_last_place_hears_that_it_is_taken(world: World, database: Database) -> None:
    await allow(world, max_domains=1)
    assert world.services.box is not None
    keys = await new_keys(world.services.box, "first.example")
    async with database.tenant(world.tenant.id) as session:
        await domains.create(session, world.tenant.principal(), keys)
        late = asyncio.create_task(MAKERS["max_domains"](world.client, "second"))
        await blocked(database)
    problem(await late, 403, "limit_reached")


async def test_limits_of_a_plan_and_of_nobody(world: World, database: Database) -> None:
    for number in range(6):
        await make_domain(database, world.tenant, f"d{number}.example")
    assert (await MAKERS["max_domains"](world.client, "free")).status_code == 201, "self-hosted: no limits"
    await limits.set_plan(database, Actor.operator(world.tenant.id), "starter")
    refused = problem(await MAKERS["max_domains"](world.client, "more"), 403, "limit_reached")
    assert (refused["limit"], refused["used"], refused["plan"]) == (5, 7, "starter")
    assert "Starter" in refused["detail"]


async def test_archived_workspaces_take_no_place(world: World, database: Database) -> None:
    workspace = await make_workspace(database, world.tenant.id, "old")
    await allow(world, max_workspaces=2)
    path = f"/v1/workspaces/{ids.encode('ws', workspace)}"
    assert (await world.client.post(f"{path}/archive")).status_code == 200
    assert (await MAKERS["max_workspaces"](world.client, "new")).status_code == 201
    problem(await world.client.post(f"{path}/restore"), 403, "limit_reached")
    used = {row["name"]: row["used"] for row in (await world.client.get("/v1/usage")).json()["limits"]}
    assert used["max_workspaces"] == 2
    await allow(world, max_workspaces=3)
    assert (await world.client.post(f"{path}/restore")).status_code == 200
    assert (await world.client.post(f"{path}/restore")).status_code == 200, "twice is once"


class TestSeats:
    async def test_a_full_house_invites_nobody(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        await allow(world, max_users=1)
        refused = problem(await owner.post("/v1/invitations", json={"email": "a@example.com"}), 403, "limit_reached")
        assert (refused["limit_name"], refused["used"]) == ("max_users", 1)
        test = world.client.as_(world.tenant.test)
        assert (await test.post("/v1/invitations", json={"email": "a@example.com"})).status_code == 201

    async def test_the_last_seat_goes_to_one_of_those_who_accept(self, world: World, database: Database) -> None:
        await world.join("owner")
        waiting = [await self._invited(world, database, f"{name}@example.com") for name in ("a", "b", "c")]
        await allow(world, max_users=2)
        done: list[Any] = await asyncio.gather(
            *(accepting.accept(database, user_id, token) for user_id, token in waiting), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in done) == ["Accepted", "LimitReached", "LimitReached"]
        await allow(world, max_users=4)
        for (user_id, token), result in zip(waiting, done, strict=True):
            if isinstance(result, LimitReached):
                await accepting.accept(database, user_id, token)
        assert await database.worker.fetchval("select count(*) from members") == 4

    async def _invited(self, world: World, database: Database, email: str) -> tuple[Any, str]:
        invitation, token = await make_invitation(database, world.tenant, email), new_token()
        await database.worker.execute(
            "update invitations set token_hash = $1 where id = $2", token_hash(token), invitation
        )
        return await make_user(database, email), token


class TestDefaultPlan:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
            api=ApiSettings(default_plan="starter"),
        )

    async def test_it_holds_for_who_was_put_on_no_plan(
        self, world: World, services: Services, database: Database
    ) -> None:
        for number in range(5):
            await make_domain(database, world.tenant, f"d{number}.example")
        refused = problem(await MAKERS["max_domains"](world.client, "more"), 403, "limit_reached")
        assert refused["plan"] == "starter"
        assert services.database.info == {"default_plan": "starter"}
