"""`/v1/api_keys`, through the gateway."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain, make_workspace

PATH = "/v1/api_keys"
UNLIMITED = {"allowed_ips": None, "allowed_mailboxes": None, "allowed_domains": None, "max_sends_per_day": None}


async def create(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"name": "k", "scopes": ["emails:write"], **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def until(client: ApiClient, status: int) -> Any:
    """The answer to `GET /v1/me` once it has this status: changes reach the cache by the doorbell, in a few turns."""
    async with asyncio.timeout(10):
        while (response := await client.get("/v1/me")).status_code != status:
            await asyncio.sleep(0)
    return response


async def events_of(client: ApiClient, key_id: str) -> list[dict[str, Any]]:
    page = (await client.get("/v1/events?types=api_key.*&limit=100")).json()["data"]
    return [event for event in page if event["data"]["api_key_id"] == key_id]


def pointers(document: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in document["errors"]}


async def test_create_shows_the_secret_once(client: ApiClient, tenant: Tenant) -> None:
    made = await create(client, name="  Orders ")
    secret = made.pop("secret")
    assert secret.startswith("pm_live_")
    assert made["hint"] == f"{secret[:12]}…{secret[-4:]}"
    assert (made["name"], made["mode"], made["status"], made["scopes"]) == (
        "Orders",
        "live",
        "active",
        ["emails:write"],
    )
    assert {name: made[name] for name in UNLIMITED} == UNLIMITED
    assert made["created_by_key_id"] == ids.encode("key", tenant.live_key.id)
    assert (made["created_by_user_id"], made["parent_id"], made["last_used_at"]) == (None, None, None)
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json()["data"][0] == made
    assert (await client.as_(secret).get("/v1/emails")).status_code == 200
    [event] = await events_of(client, made["id"])
    assert (event["type"], event["sequence"], event["mode"]) == ("api_key.created", 1, "live")
    assert event["data"]["hint"] == made["hint"]
    assert secret not in str(event)


async def test_a_replay_holds_no_secret(client: ApiClient, database: Database) -> None:
    made = await create(client)
    for path, body in (
        (PATH, {"name": "k", "scopes": ["emails:read"]}),
        (f"{PATH}/{made['id']}/rotate", {}),
        (f"{PATH}/{made['id']}/derive", {"name": "c", "scopes": ["emails:read"]}),
    ):
        first = await client.post(path, json=body, idempotency_key="one" + path)
        again = await client.post(path, json=body, idempotency_key="one" + path)
        assert first.status_code == again.status_code, first.text
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json() | {"secret": None}
        secret = first.json()["secret"]
        assert (await client.as_(secret).get("/v1/me")).status_code == 200
        stored = await database.worker.fetch("select response from idempotency_keys")
        assert not any(secret.encode() in row["response"] for row in stored)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"name": ""}, {"/name"}),
        ({"name": "a\nb"}, {"/name"}),
        ({"name": "x" * 101}, {"/name"}),
        ({"scopes": []}, {"/scopes"}),
        ({"scopes": ["emails:read", "emails:own"]}, {"/scopes/1"}),
        ({"mode": "prod"}, {"/mode"}),
        ({"mode": None}, {"/mode"}),
        ({"allowed_ips": []}, {"/allowed_ips"}),
        ({"allowed_ips": ["192.0.2.0/24", "192.0.2.1/24"]}, {"/allowed_ips/1"}),
        (
            {"allowed_mailboxes": ["a@b.example", "Ada <a@b.example>", "a@"]},
            {"/allowed_mailboxes/1", "/allowed_mailboxes/2"},
        ),
        ({"allowed_domains": ["example.com", "localhost"]}, {"/allowed_domains/1"}),
        ({"max_sends_per_day": 0}, {"/max_sends_per_day"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at"}),
        ({"secret": "mine"}, {"/secret"}),
        ({"allowed_domains": ["x"], "allowed_ips": ["x"]}, {"/allowed_domains/0", "/allowed_ips/0"}),
    ],
)
async def test_what_is_wrong_is_named(client: ApiClient, members: dict[str, Any], expected: set[str]) -> None:
    body = {"name": "k", "scopes": ["emails:read"], **members}
    assert pointers(problem(await client.post(PATH, json=body), 422, "validation_failed")) == expected
    made = await create(client)
    if "mode" not in members:
        response = await client.patch(f"{PATH}/{made['id']}", json=members)
        assert pointers(problem(response, 422, "validation_failed")) == expected
        response = await client.post(f"{PATH}/{made['id']}/derive", json=body)
        assert pointers(problem(response, 422, "validation_failed")) == expected


async def test_limits_are_kept_in_one_form(client: ApiClient) -> None:
    made = await create(
        client,
        scopes=["events:read", "emails:write", "events:read"],
        allowed_ips=["192.0.2.1", "2001:DB8::/32", "192.0.2.1/32"],
        allowed_mailboxes=["Orders@Example.COM", "orders@example.com"],
        allowed_domains=["Example.com", "bücher.example"],
    )
    assert made["scopes"] == ["emails:write", "events:read"]
    assert made["allowed_ips"] == ["192.0.2.1/32", "2001:db8::/32"]
    assert made["allowed_mailboxes"] == ["orders@example.com"]
    assert made["allowed_domains"] == ["example.com", "xn--bcher-kva.example"]


async def test_lists_are_filtered_and_paged(client: ApiClient, tenant: Tenant, services: Services) -> None:
    keys = [await create(client, name=str(number)) for number in range(5)]
    await client.delete(f"{PATH}/{keys[0]['id']}")
    soon = rfc3339(utcnow() + timedelta(milliseconds=200))
    short = await create(client, name="short", expires_at=soon)
    async with asyncio.timeout(10):
        while (await client.get(f"{PATH}/{short['id']}")).json()["status"] != "expired":
            await asyncio.sleep(0.01)

    async def names(query: str) -> list[str]:
        return [key["name"] for key in (await client.get(f"{PATH}?{query}")).json()["data"]]

    assert await names("") == ["short", "4", "3", "2", "1", "0", "live"]
    assert await names("status=active") == ["4", "3", "2", "1", "live"]
    assert await names("status=revoked") == ["0"]
    assert await names("status=expired&mode=live") == ["short"]
    assert await names("mode=test") == []
    page = (await client.get(f"{PATH}?limit=3")).json()
    assert page["has_more"]
    assert await names(f"limit=3&after={page['next_cursor']}") == ["2", "1", "0"]
    back = (await client.get(f"{PATH}?limit=2&before={page['next_cursor']}")).json()
    assert [key["name"] for key in back["data"]] == ["short", "4"]
    for query in ("limit=0", "limit=101", "after=x", "status=dead", "after=a&before=b", "sort=name"):
        problem(await client.get(f"{PATH}?{query}"), 422, "validation_failed")


async def test_foreign_keys_do_not_exist(
    client: ApiClient, tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    """Another organization's, the other mode's, and another workspace's."""
    workspace = await make_workspace(database, tenant.id, "one")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    own = ids.encode("key", tenant.live_key.id)
    for caller, key_id in (
        (client, ids.encode("key", stranger.live_key.id)),
        (client, ids.encode("key", tenant.test_key.id)),
        (client, ids.encode("key", new_uuid())),
        (client, "key_nonsense"),
        (client, "whe_01kaz6yzwhe1xrqm3c8s4q3m8r"),
        (client.as_(bound), own),
        (client.as_(stranger.key), own),
        (client.as_(tenant.test), own),
    ):
        path = f"{PATH}/{key_id}"
        problem(await caller.get(path), 404, "not_found")
        problem(await caller.patch(path, json={"name": "x"}), 404, "not_found")
        problem(await caller.delete(path), 404, "not_found")
        problem(await caller.post(f"{path}/rotate", json={}), 404, "not_found")
        problem(await caller.post(f"{path}/derive", json={"name": "x", "scopes": ["emails:read"]}), 404, "not_found")
    foreign = {"name": "x", "scopes": ["emails:read"], "workspace_id": ids.encode("ws", stranger.workspace_id)}
    problem(await client.post(PATH, json=foreign), 404, "not_found")
    problem(await client.post(PATH, json=foreign | {"workspace_id": "ws_x"}), 404, "not_found")
    assert {key["name"] for key in (await client.as_(bound).get(PATH)).json()["data"]} == {"bound"}
    assert (await client.get("/v1/me")).status_code == 200


async def test_scopes_are_needed(client: ApiClient, tenant: Tenant) -> None:
    reader = client.as_((await create(client, scopes=["api_keys:read"]))["secret"])
    path = f"{PATH}/{ids.encode('key', tenant.live_key.id)}"
    assert (await reader.get(path)).status_code == 200
    assert (await reader.get(f"{PATH}/presets")).status_code == 200
    for response in (
        await reader.post(PATH, json={"name": "x", "scopes": ["api_keys:read"]}),
        await reader.patch(path, json={"name": "x"}),
        await reader.delete(path),
        await reader.post(f"{path}/rotate"),
        await reader.post(f"{path}/derive", json={"name": "x", "scopes": ["api_keys:read"]}),
    ):
        assert problem(response, 403, "missing_scope")["required_scope"] == "api_keys:write"


async def test_patch_changes_only_what_is_given(client: ApiClient) -> None:
    made = await create(client, scopes=["emails:write", "events:read"], max_sends_per_day=10)
    made.pop("secret")
    path = f"{PATH}/{made['id']}"
    changed = (await client.patch(path, json={"name": "New", "scopes": ["emails:read"]})).json()
    assert changed == made | {"name": "New", "scopes": ["emails:read"], "updated_at": changed["updated_at"]}
    assert (await client.patch(path, json={"max_sends_per_day": None})).json()["max_sends_per_day"] is None
    for field in ("name", "scopes"):
        problem(await client.patch(path, json={field: None}), 422, "validation_failed")
    for field in ("mode", "workspace_id", "secret", "status"):
        problem(await client.patch(path, json={field: "x"}), 422, "validation_failed")
    await client.delete(path)
    ended = problem(await client.patch(path, json={"name": "x"}), 409, "conflict")
    assert ended["current_status"] == "revoked"


async def test_a_change_is_felt_at_once(client: ApiClient) -> None:
    made = await create(client, scopes=["emails:write", "events:read"])
    caller = client.as_(made["secret"])
    assert (await caller.get("/v1/events")).status_code == 200
    await client.patch(f"{PATH}/{made['id']}", json={"scopes": ["emails:read"]})
    async with asyncio.timeout(10):
        while (await caller.get("/v1/events")).status_code != 403:
            await asyncio.sleep(0)
    await client.patch(f"{PATH}/{made['id']}", json={"allowed_ips": ["192.0.2.0/24"]})
    assert (await until(caller, 403)).json()["constraint"] == "allowed_ips"
    assert (await client.as_(made["secret"], address="192.0.2.1").get("/v1/me")).status_code == 200


async def test_revoking_ends_the_whole_line(client: ApiClient) -> None:
    top = await create(client, scopes=["emails:write", "api_keys:write"])
    child = (await client.post(f"{PATH}/{top['id']}/derive", json={"name": "c", "scopes": ["emails:write"]})).json()
    grandchild = (
        await client.post(f"{PATH}/{child['id']}/derive", json={"name": "g", "scopes": ["emails:read"]})
    ).json()
    assert (child["parent_id"], grandchild["parent_id"]) == (top["id"], child["id"])
    line = [client.as_(key["secret"]) for key in (top, child, grandchild)]
    for caller in line:
        assert (await caller.get("/v1/me")).status_code == 200
    assert (await client.delete(f"{PATH}/{top['id']}")).status_code == 204
    for caller in line:
        assert "revoked" in (await until(caller, 401)).json()["detail"]
    assert (await client.delete(f"{PATH}/{top['id']}")).status_code == 204
    told = [await events_of(client, key["id"]) for key in (top, child, grandchild)]
    assert [events[-1]["data"]["reason"] for events in told] == ["manual", "parent_revoked", "parent_revoked"]
    assert [len(events) for events in told] == [2, 2, 2]
    assert {(await client.get(f"{PATH}/{key['id']}")).json()["status"] for key in (top, child, grandchild)} == {
        "revoked"
    }
    for key in (top, child):
        problem(await client.post(f"{PATH}/{key['id']}/rotate"), 409, "conflict")
        body = {"name": "x", "scopes": ["emails:read"]}
        problem(await client.post(f"{PATH}/{key['id']}/derive", json=body), 409, "conflict")


async def test_rotation_overlaps(client: ApiClient, database: Database) -> None:
    made = await create(client, scopes=["emails:write", "api_keys:write"])
    path, old = f"{PATH}/{made['id']}", client.as_(made["secret"])
    assert (await old.get("/v1/me")).status_code == 200
    rotated = (await client.post(f"{path}/rotate")).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["hint"] != made["hint"]
    assert rotated["rotated_at"] is not None
    new = client.as_(rotated["secret"])
    for caller in (old, new):
        assert (await caller.get("/v1/emails")).status_code == 200
    day = await database.worker.fetchval("select expires_at - now() from api_key_secrets")
    assert timedelta(hours=23) < day <= timedelta(hours=24)
    # The old one may have leaked: it must not bring forth a new one.
    async with asyncio.timeout(10):
        while (await old.post(f"{path}/rotate")).status_code != 403:
            await asyncio.sleep(0)
    assert (await new.post(f"{path}/rotate")).status_code == 200
    assert (await until(old, 200)).json()["api_key"]["id"] == made["id"]
    last = (await client.post(f"{path}/rotate", json={"overlap_seconds": 0})).json()
    assert last["previous_secret_expires_at"] is None
    for caller in (old, new):
        await until(caller, 401)
    assert (await client.as_(last["secret"]).get("/v1/me")).status_code == 200
    told = await events_of(client, made["id"])
    assert told[0]["type"] == "api_key.created"
    assert {event["type"] for event in told[1:]} == {"api_key.rotated"}
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    for seconds in (-1, 604_801, "x"):
        body = {"overlap_seconds": seconds}
        problem(await client.post(f"{path}/rotate", json=body), 422, "validation_failed")


async def test_an_old_secret_ends_while_it_is_cached(client: ApiClient, database: Database) -> None:
    made = await create(client)
    old = client.as_(made["secret"])
    await client.post(f"{PATH}/{made['id']}/rotate", json={"overlap_seconds": 1})
    assert (await until(old, 200)).status_code == 200
    ended = (await until(old, 401)).json()
    assert "rotated" in ended["detail"]
    # The other old secrets of the key go with a later rotation, and what has ended is cleared away.
    await client.post(f"{PATH}/{made['id']}/rotate", json={"overlap_seconds": 60})
    assert await database.worker.fetchval("select count(*) from api_key_secrets") == 1


async def test_rotating_twice_at_once_cuts_nobody_off(client: ApiClient) -> None:
    made = await create(client)
    path = f"{PATH}/{made['id']}/rotate"
    answers = await asyncio.gather(*(client.post(path) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    secrets = {answer.json()["secret"] for answer in answers}
    assert len(secrets) == 4
    for secret in (*secrets, made["secret"]):
        await until(client.as_(secret), 200)


async def test_old_secrets_are_bounded(client: ApiClient) -> None:
    made = await create(client)
    path = f"{PATH}/{made['id']}/rotate"
    for _ in range(10):
        assert (await client.post(path)).status_code == 200
    assert problem(await client.post(path), 409, "conflict")["limit"] == 10
    assert (await client.post(path, json={"overlap_seconds": 0})).status_code == 200


async def test_presets_cover_the_bundles(client: ApiClient) -> None:
    presets = {preset["name"]: preset for preset in (await client.get(f"{PATH}/presets")).json()["data"]}
    assert {
        "send_email",
        "read_analytics",
        "manage_contacts",
        "manage_campaigns",
        "manage_templates",
        "manage_domains",
        "read_inbox",
        "manage_webhooks",
        "read_only",
        "full_access",
        "email_sending",
    } == set(presets)
    for preset in presets.values():
        assert preset["scopes"] or preset["missing"], preset["name"]
        assert preset["grantable"] == bool(preset["scopes"])
        if preset["scopes"]:
            await create(client, scopes=preset["scopes"])
    weak = client.as_((await create(client, scopes=["api_keys:write", "emails:write"]))["secret"])
    granted = {preset["name"] for preset in (await weak.get(f"{PATH}/presets")).json()["data"] if preset["grantable"]}
    assert granted == {"send_email"}


async def test_last_use_is_kept(client: ApiClient, services: Services) -> None:
    made = await create(client)
    await client.as_(made["secret"], address="192.0.2.9").get("/v1/me")
    await services.authenticator.flush()
    used = (await client.get(f"{PATH}/{made['id']}")).json()
    assert used["last_used_ip"] == "192.0.2.9"
    assert used["last_used_at"] is not None


async def test_usage_of_a_key_by_day_and_operation(
    client: ApiClient, services: Services, tenant: Tenant, stranger: Tenant, database: Database
) -> None:
    await make_domain(database, tenant, "acme.test")
    made = await create(client, scopes=["emails:write"])
    path, caller = f"{PATH}/{made['id']}/usage", client.as_(made["secret"])
    message = {"from": "a@acme.test", "to": ["b@example.com", "c@example.com"], "subject": "s", "text": "t"}
    assert (await caller.post("/v1/emails", json=message)).status_code == 202
    problem(await caller.get("/v1/emails/msg_1"), 404, "not_found")
    await client.get("/v1/me")  # somebody else's
    problem(await caller.get(path), 403, "missing_scope")
    await client.delete(f"{PATH}/{made['id']}")  # what it was used for is told after its end too
    await services.usage.flush()
    today = utcnow().date()
    found = (await client.get(path, params={"start_date": (today - timedelta(days=2)).isoformat()})).json()
    assert (found["api_key_id"], found["mode"]) == (made["id"], "live")
    assert found["totals"] == {"requests": 3, "cost": 7, "refused": 0, "errors": 2, "messages": 1, "sends": 2}
    assert [(day["requests"], day["sends"]) for day in found["by_day"]] == [(0, 0), (0, 0), (3, 2)]
    assert {row["operation"]: row["errors"] for row in found["by_operation"]} == {
        "emails_send": 0,
        "emails_get": 1,
        "api_keys_usage": 1,
    }
    problem(await client.as_(stranger.key).get(path), 404, "not_found")
    problem(await client.get(path + "?end_date=2999-01-01"), 422, "validation_failed")


async def test_there_is_a_bound_on_keys(client: ApiClient, tenant: Tenant, database: Database) -> None:
    await database.worker.execute(
        "insert into api_keys (organization_id, id, name, mode, hash, hint, scopes) "
        "select $1, gen_random_uuid(), 'k', 'live', sha256(n::text::bytea), '', '{emails:read}' "
        "from generate_series(1, 998) n",
        tenant.id,
    )
    response = await client.post(PATH, json={"name": "x", "scopes": ["emails:read"]})
    assert problem(response, 409, "conflict")["limit"] == 1000


async def test_every_change_is_in_the_audit_log(client: ApiClient, tenant: Tenant, database: Database) -> None:
    made = await create(client, name="before", scopes=["emails:write", "api_keys:write"])
    path = f"{PATH}/{made['id']}"
    child = (await client.post(f"{path}/derive", json={"name": "c", "scopes": ["emails:read"]})).json()
    await client.patch(path, json={"name": "after"})
    await client.patch(path, json={"name": "after"})  # changes nothing
    rotated = (await client.post(f"{path}/rotate")).json()
    await client.delete(path)
    await client.delete(path)
    problem(await client.patch(path, json={"name": "too late"}), 409, "conflict")
    rows = await database.worker.fetch("select * from audit_logs where resource_type = 'api_key' order by sequence")
    assert [(row["action"], ids.encode("key", row["resource_id"])) for row in rows] == [
        ("api_key.created", made["id"]),
        ("api_key.created", child["id"]),
        ("api_key.updated", made["id"]),
        ("api_key.rotated", made["id"]),
        ("api_key.revoked", made["id"]),
        ("api_key.revoked", child["id"]),
    ]
    assert {(row["actor_kind"], row["actor_id"]) for row in rows} == {("api_key", tenant.live_key.id)}
    assert (rows[2]["before"], rows[2]["after"]) == ({"name": "before"}, {"name": "after"})
    text = str([dict(row) for row in rows])
    for secret in (made["secret"], child["secret"], rotated["secret"]):
        assert secret not in text
