"""`/v1/webhook_portal/links`, and whose endpoint an endpoint is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.maintenance.service import Maintenance
from penguinmails_core.webhook_endpoints.consumers import MAX_OF_CONSUMER
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace

PATH = "/v1/webhook_portal/links"
ENDPOINTS = "/v1/webhook_endpoints"


async def create(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"consumer": "customer_42", **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_a_link_is_shown_once_and_stored_as_a_hash(client: ApiClient, database: Database) -> None:
    made = await create(client)
    url = made.pop("url")
    token = url.rpartition("/")[2]
    assert "/portal/l/whpl_" in url
    assert (made["status"], made["read_only"], made["events"], made["frame_ancestors"]) == (
        "active",
        False,
        ["email.*"],
        [],
    )
    assert made["theme"] == {"name": None, "accent_color": None, "color_scheme": "auto"}
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json()["data"] == [made]
    life = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert timedelta(minutes=59) < life < timedelta(minutes=61)
    row = await database.worker.fetchrow("select * from webhook_portal_links")
    assert not [name for name, value in row.items() if token in str(value)]


async def test_a_replay_holds_no_url(client: ApiClient, database: Database) -> None:
    first = await client.post(PATH, json={"consumer": "c"}, idempotency_key="one")
    again = await client.post(PATH, json={"consumer": "c"}, idempotency_key="one")
    assert again.json() == first.json() | {"url": None}
    token = first.json()["url"].rpartition("/")[2]
    assert token.encode() not in await database.worker.fetchval("select response from idempotency_keys")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"consumer": ""}, "/consumer"),
        ({"consumer": " a"}, "/consumer"),
        ({"consumer": "a\0b"}, "/consumer"),
        ({"consumer": "x" * 101}, "/consumer"),
        ({"expires_in": 59}, "/expires_in"),
        ({"expires_in": 604_801}, "/expires_in"),
        ({"events": ["nope.*"]}, "/events/0"),
        ({"events": []}, "/events"),
        ({"theme": {"accent_color": "red"}}, "/theme/accent_color"),
        ({"theme": {"name": "a\nb"}}, "/theme/name"),
        ({"theme": {"color_scheme": "pink"}}, "/theme/color_scheme"),
        ({"return_url": "javascript:alert(1)"}, "/return_url"),
        ({"return_url": "http://app.example.com/"}, "/return_url"),
        ({"return_url": "https://user:pass@app.example.com/"}, "/return_url"),
        ({"frame_ancestors": ["*"]}, "/frame_ancestors/0"),
        ({"frame_ancestors": ["https://*.example.com"]}, "/frame_ancestors/0"),
        ({"frame_ancestors": ["https://app.example.com; script-src *"]}, "/frame_ancestors/0"),
        ({"frame_ancestors": ["https://app.example.com/page"]}, "/frame_ancestors/0"),
        ({"frame_ancestors": ["https://a.example"] * 21}, "/frame_ancestors"),
    ],
)
async def test_what_is_wrong_is_named(client: ApiClient, members: dict[str, Any], expected: str) -> None:
    document = problem(await client.post(PATH, json={"consumer": "c", **members}), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [expected]


async def test_what_a_link_says_is_kept(client: ApiClient) -> None:
    given = {
        "events": ["email.*"],
        "read_only": True,
        "theme": {"name": "Acme", "accent_color": "#7C3AED", "color_scheme": "dark"},
        "return_url": "http://localhost:3000/settings",
        "frame_ancestors": ["https://App.example.com/", "http://127.0.0.1:3000"],
    }
    made = await create(client, **given)
    assert made["theme"] == {"name": "Acme", "accent_color": "#7c3aed", "color_scheme": "dark"}
    assert made["frame_ancestors"] == ["https://app.example.com", "http://127.0.0.1:3000"]
    assert (made["events"], made["read_only"], made["return_url"]) == (["email.*"], True, given["return_url"])


async def test_it_ends_no_later_than_the_key_that_makes_it(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    end = utcnow() + timedelta(minutes=30)
    _, key = await create_key(database, tenant.id, mode="live", name="short", expires_at=end)
    made = await create(client.as_(key), expires_in=86400)
    assert abs(datetime.fromisoformat(made["expires_at"]) - end) < timedelta(seconds=1)


async def test_revoking_ends_it_and_is_told_in_the_audit_log(client: ApiClient, database: Database) -> None:
    made = await create(client)
    assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204
    assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204
    shown = (await client.get(f"{PATH}/{made['id']}")).json()
    assert shown["status"] == "revoked"
    assert shown["revoked_at"]
    entries = (await client.get("/v1/audit_logs", params={"action": "webhook_portal_link.*"})).json()["data"]
    assert [entry["action"] for entry in entries] == ["webhook_portal_link.revoked", "webhook_portal_link.created"]
    assert {entry["resource"]["id"] for entry in entries} == {made["id"]}
    await create(client, consumer="other")
    assert len((await client.get(PATH, params={"active": "true"})).json()["data"]) == 1
    assert len((await client.get(PATH, params={"consumer": "customer_42"})).json()["data"]) == 1
    await database.worker.execute("update webhook_portal_links set revoked_at = now() - interval '31 days'")
    await Maintenance(database).run_once()
    assert (await client.get(PATH)).json()["data"] == []


async def test_only_those_who_manage_endpoints_make_links(
    client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant
) -> None:
    _, reader = await create_key(database, tenant.id, mode="live", name="reader", scopes=["webhook_endpoints:read"])
    problem(await client.as_(reader).post(PATH, json={"consumer": "c"}), 403, "missing_scope")
    foreign = ids.encode("ws", stranger.workspace_id)
    problem(await client.post(PATH, json={"consumer": "c", "workspace_id": foreign}), 404, "not_found")
    workspace = await make_workspace(database, tenant.id, "north")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    made = await create(client.as_(bound))
    assert made["workspace_id"] == ids.encode("ws", workspace)
    other = ids.encode("ws", tenant.workspace_id)
    problem(await client.as_(bound).post(PATH, json={"consumer": "c", "workspace_id": other}), 404, "not_found")


async def test_endpoints_name_their_consumer(client: ApiClient) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"]}
    own = (await client.post(ENDPOINTS, json=body)).json()
    theirs = (await client.post(ENDPOINTS, json=body | {"consumer": "customer_42"})).json()
    assert (own["consumer"], theirs["consumer"]) == (None, "customer_42")
    found = (await client.get(ENDPOINTS, params={"consumer": "customer_42"})).json()["data"]
    assert [one["id"] for one in found] == [theirs["id"]]
    problem(await client.get(ENDPOINTS, params={"consumer": " "}), 422, "validation_failed")
    problem(await client.post(ENDPOINTS, json=body | {"consumer": "a\0"}), 422, "validation_failed")
    moved = await client.patch(f"{ENDPOINTS}/{own['id']}", json={"consumer": "customer_7"})
    assert moved.json()["consumer"] == "customer_7"


async def test_a_consumer_has_room_of_its_own(client: ApiClient) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"]}
    for _ in range(MAX_OF_CONSUMER):
        assert (await client.post(ENDPOINTS, json=body | {"consumer": "greedy"})).status_code == 201
    document = problem(await client.post(ENDPOINTS, json=body | {"consumer": "greedy"}), 409, "conflict")
    assert document["limit"] == MAX_OF_CONSUMER
    assert (await client.post(ENDPOINTS, json=body | {"consumer": "modest"})).status_code == 201
    own = (await client.post(ENDPOINTS, json=body)).json()
    problem(await client.patch(f"{ENDPOINTS}/{own['id']}", json={"consumer": "greedy"}), 409, "conflict")
