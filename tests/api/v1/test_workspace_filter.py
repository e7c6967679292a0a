"""`workspace_id` on lists: that workspace's and nothing else, never more than the caller sees."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.api.v1.people import World
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import make_domain, make_email, make_tenant, make_workspace

LISTS = ["emails", "events", "webhook_endpoints", "suppressions", "domains", "api_keys"]
PATHS = [*(f"/v1/{name}" for name in LISTS), "/v2/emails"]


async def key_of(world: World, workspace: UUID) -> ApiClient:
    _, secret = await create_key(
        world.services.database, world.tenant.id, mode="live", name="bound", workspace_id=workspace
    )
    return world.client.as_(secret)


@pytest.fixture
async def workspaces(world: World, database: Database) -> tuple[UUID, UUID]:
    """Each with one thing of every kind (an email brings an event, and so does all else)."""
    made = []
    for slug in ("one", "two"):
        workspace = await make_workspace(database, world.tenant.id, slug)
        made.append(workspace)
        await make_email(database, world.tenant, workspace_id=workspace)
        await make_domain(database, world.tenant, f"{slug}.example", workspace_id=workspace)
        client = await key_of(world, workspace)
        hook = {"url": f"https://{slug}.example/hook", "events": ["*"]}
        for path, body in (("webhook_endpoints", hook), ("suppressions", {"address": f"{slug}@example.com"})):
            assert (await client.post(f"/v1/{path}", json=body)).status_code == 201
    return made[0], made[1]


async def ids_of(client: ApiClient, path: str, workspace: str | None = None) -> set[str]:
    params: dict[str, Any] = {"limit": 100} | ({"workspace_id": workspace} if workspace else {})
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["data"]}


@pytest.mark.parametrize("path", PATHS)
async def test_of_one_workspace(world: World, workspaces: tuple[UUID, UUID], path: str) -> None:
    one, two = [ids.encode("ws", workspace) for workspace in workspaces]
    mine, others = await ids_of(world.client, path, one), await ids_of(world.client, path, two)
    assert mine
    assert others
    assert not mine & others
    assert mine | others <= await ids_of(world.client, path)
    bound = await key_of(world, workspaces[0])
    assert await ids_of(bound, path, one) == await ids_of(bound, path) >= mine


@pytest.mark.parametrize("path", PATHS)
async def test_never_more_than_the_caller_sees(
    world: World, database: Database, workspaces: tuple[UUID, UUID], path: str
) -> None:
    one, two = [ids.encode("ws", workspace) for workspace in workspaces]
    bound = await key_of(world, workspaces[0])
    assert await ids_of(bound, path, two) == set(), "another workspace than its own"
    stranger = await make_tenant(database, "Umbrella")
    assert await ids_of(world.client.as_(stranger.key), path, one) == set(), "another tenant's"
    assert await ids_of(world.client, path, ids.encode("ws", ids.new_uuid())) == set(), "nobody's"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", ["", "x", "dom_01kaz6yzwhe1xrqm3c8s4q3m8r", "ws_01kaz6yzwhe1xrqm3c8s4q3m8"])
async def test_nonsense_is_named(world: World, path: str, value: str) -> None:
    answer = await world.client.get(path, params={"workspace_id": value})
    document = problem(answer, 422, "validation_failed")
    assert "workspace_id" in document["errors"][0]["pointer"]


async def test_pages_stay_inside(world: World, database: Database, workspaces: tuple[UUID, UUID]) -> None:
    for _ in range(4):
        for workspace in workspaces:
            await make_email(database, world.tenant, workspace_id=workspace)
    params: dict[str, Any] = {"limit": 2, "workspace_id": ids.encode("ws", workspaces[0])}
    found: list[str] = []
    while True:
        page = (await world.client.get("/v1/emails", params=params)).json()
        found += [item["id"] for item in page["data"]]
        if not page["has_more"]:
            break
        params["after"] = page["next_cursor"]
    assert len(found) == len(set(found)) == 5


async def test_a_small_workspace_is_found_by_its_index(world: World, database: Database) -> None:
    """Not by reading the mail of all the others."""
    small = await make_workspace(database, world.tenant.id, "small")
    await make_email(database, world.tenant, workspace_id=small)
    await database.worker.execute(
        """
        insert into email_messages (organization_id, id, workspace_id, api_key_id, mode, message_class, from_address,
          from_domain, reply_to, subject, tags, metadata, size_bytes, expires_at)
        select organization_id, gen_random_uuid(), $1, api_key_id, mode, message_class, from_address, from_domain,
          reply_to, subject, tags, metadata, size_bytes, expires_at
        from email_messages, generate_series(1, 5000)""",
        world.tenant.workspace_id,
    )
    await database.worker.execute("analyze email_messages")
    plan = await database.worker.fetch(
        "explain select id from email_messages where organization_id = $1 and mode = 'live' and workspace_id = $2 "
        "order by id desc limit 21",
        world.tenant.id,
        small,
    )
    assert "ix_email_messages_workspace" in "\n".join(row[0] for row in plan)
