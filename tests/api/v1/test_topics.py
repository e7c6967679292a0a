"""Topics: made, changed, deleted; once for a list, and apart in test mode."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.kit.db import Database
from penguinmails_core.topics.service import MAX_TOPICS
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant

NEWS = {"list": "product-news", "name": "Product news", "description": "What is new, once a month."}


async def made(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = await client.post("/v1/topics", json=NEWS | members)
    assert response.status_code == 201, response.text
    topic: dict[str, Any] = response.json()
    return topic


async def test_a_topic_from_start_to_end(client: ApiClient) -> None:
    topic = await made(client)
    path = f"/v1/topics/{topic['id']}"
    assert {name: topic[name] for name in NEWS} == NEWS
    assert topic["public"] is True
    changed = await client.patch(path, json={"name": "News", "public": False, "description": None})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["public"], changed.json()["description"]) == ("News", False, None)
    assert (await client.get(path)).json() == changed.json()
    assert (await client.get("/v1/topics")).json()["data"] == [changed.json()]
    assert (await client.delete(path)).status_code == 204
    problem(await client.get(path), 404, "not_found")
    actions = [entry["action"] for entry in (await client.get("/v1/audit_logs")).json()["data"]]
    assert actions[:3] == ["topic.deleted", "topic.updated", "topic.created"]


async def test_a_list_has_one_topic(client: ApiClient, tenant: Tenant) -> None:
    topic = await made(client)
    problem(await client.post("/v1/topics", json=NEWS), 409, "conflict")
    test = client.as_(tenant.test)
    assert (await test.get("/v1/topics")).json()["data"] == []
    problem(await test.get(f"/v1/topics/{topic['id']}"), 404, "not_found")
    problem(await test.delete(f"/v1/topics/{topic['id']}"), 404, "not_found")
    assert (await test.post("/v1/topics", json=NEWS)).status_code == 201


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"list": "News"}, "/list"),
        ({"list": "-news"}, "/list"),
        ({"name": " "}, "/name"),
        ({"name": "a\u0000b"}, "/name"),
        ({"description": "x" * 301}, "/description"),
    ],
)
async def test_what_is_refused(client: ApiClient, members: dict[str, Any], pointer: str) -> None:
    refused = problem(await client.post("/v1/topics", json=NEWS | members), 422, "validation_failed")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]


async def test_there_is_an_end_to_them(client: ApiClient, tenant: Tenant, database: Database) -> None:
    await database.worker.execute(
        "insert into topics (organization_id, id, mode, list, name) "
        "select $1, gen_random_uuid(), 'live', 'list' || n, 'Name' from generate_series(1, $2::int) n",
        tenant.id,
        MAX_TOPICS,
    )
    problem(await client.post("/v1/topics", json=NEWS), 409, "conflict")
