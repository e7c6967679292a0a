"""`/v1/webhook_endpoints`, through the gateway, with a real receiver at the other end."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services, Settings
from penguinmails_core.config import DatabaseSettings
from penguinmails_core.kit.db import Database
from penguinmails_core.webhook_endpoints.consumers import MAX_ENDPOINTS
from penguinmails_webhooks.engine import WebhookEngine
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_email, make_tenant
from tests.fixtures.hooks import engine, receiver, settings
from tests.webhooks.engine.world import Receiver, answer

__all__ = ["engine", "receiver", "settings"]


PATH = "/v1/webhook_endpoints"


async def create(client: ApiClient, url: str = "https://hooks.example.com/in", **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"url": url, "events": ["email.*"], **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def pointers(document: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in document["errors"]}


async def test_create_shows_the_secret_once(client: ApiClient) -> None:
    made = await create(client, description="Orders", metadata={"team": "a"})
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["status"] == "enabled"
    assert (made["description"], made["metadata"], made["workspace_id"]) == ("Orders", {"team": "a"}, None)
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json() == {"data": [made], "has_more": False, "next_cursor": None}


async def test_a_replay_holds_no_secret(client: ApiClient, database: Database) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["*"]}
    first = await client.post(PATH, json=body, idempotency_key="one")
    again = await client.post(PATH, json=body, idempotency_key="one")
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["secret"]
    assert again.json() == first.json() | {"secret": None}
    stored = await database.worker.fetchval("select response from idempotency_keys")
    assert first.json()["secret"].encode() not in stored
    assert len((await client.get(PATH)).json()["data"]) == 1


async def test_the_secret_is_sealed_at_rest(client: ApiClient, database: Database) -> None:
    made = await create(client)
    sealed = await database.worker.fetchval("select secret from webhook_endpoints")
    assert made["secret"].encode() not in sealed


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"url": "ftp://example.com"}, {"/url"}),
        ({"url": "http://user:pass@example.com/"}, {"/url"}),
        ({"url": "https://169.254.169.254/latest"}, {"/url"}),
        ({"url": "https://exa mple.com/\0"}, {"/url"}),
        ({"url": None}, {"/url"}),
        ({"events": []}, {"/events"}),
        ({"events": ["email.*", "email.deliverd"]}, {"/events/1"}),
        ({"description": "x" * 501}, {"/description"}),
        ({"description": "a\0b"}, {"/description"}),
        ({"metadata": {"a\0b": "1"}}, {"/metadata"}),
        ({"metadata": {"a": "1\0"}}, {"/metadata/a"}),
        ({"metadata": {"a": 1}}, {"/metadata/a"}),
        ({"metadata": {str(number): "" for number in range(51)}}, {"/metadata"}),
        ({"secret": "mine"}, {"/secret"}),
        ({"url": "ftp://example.com", "events": ["nope"]}, {"/url", "/events/0"}),
    ],
)
async def test_what_is_wrong_is_named(client: ApiClient, members: dict[str, Any], expected: set[str]) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"], **members}
    document = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert pointers(document) == expected
    made = await create(client)
    if None not in members.values():
        document = problem(await client.patch(f"{PATH}/{made['id']}", json=members), 422, "validation_failed")
        assert pointers(document) == expected


async def test_unknown_events_name_their_neighbours(client: ApiClient) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["email.deliverd"]}
    document = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert "email.delivered" in document["errors"][0]["detail"]


class TestInProduction:
    """Where private receivers are not allowed."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2))

    @pytest.mark.parametrize(
        "url",
        ["http://hooks.example.com/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://10.1/"],
    )
    async def test_private_and_plain_urls_are_refused(self, client: ApiClient, url: str) -> None:
        response = await client.post(PATH, json={"url": url, "events": ["*"]})
        assert pointers(problem(response, 422, "validation_failed")) == {"/url"}


async def test_patch_changes_only_what_is_given(client: ApiClient) -> None:
    made = await create(client, description="Orders", metadata={"team": "a"})
    made.pop("secret")
    path = f"{PATH}/{made['id']}"
    changed = (await client.patch(path, json={"events": ["email.bounced", "email.bounced"]})).json()
    assert changed == made | {"events": ["email.bounced"], "updated_at": changed["updated_at"]}
    changed = (await client.patch(path, json={"description": None, "metadata": None})).json()
    assert (changed["description"], changed["metadata"], changed["events"]) == (None, {}, ["email.bounced"])
    assert (await client.patch(path, json={})).status_code == 200
    for field in ("url", "events", "status"):
        problem(await client.patch(path, json={field: None}), 422, "validation_failed")


async def test_disabled_and_enabled_again(
    client: ApiClient, database: Database, tenant: Tenant, receiver: Receiver, engine: WebhookEngine
) -> None:
    made = await create(client, receiver.url())
    path = f"{PATH}/{made['id']}"
    receiver.answers["/hook"] = answer(500)
    await make_email(database, tenant)
    await engine.run_once()
    disabled = (await client.patch(path, json={"status": "disabled"})).json()
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "manual")
    [delivery] = (await client.get(f"{path}/deliveries?status=cancelled")).json()["data"]
    assert delivery["last_error"].startswith("endpoint_disabled: ")
    assert delivery["next_attempt_at"] is None
    problem(await client.post(f"{path}/test"), 409, "conflict")
    problem(await client.post(f"{path}/deliveries/{delivery['id']}/resend"), 409, "conflict")

    enabled = (await client.patch(path, json={"status": "enabled"})).json()
    assert (enabled["status"], enabled["disabled_reason"], enabled["failing_since"]) == ("enabled", None, None)
    del receiver.answers["/hook"]
    again = await client.post(f"{path}/deliveries/{delivery['id']}/resend")
    assert again.status_code == 202
    assert again.json()["status"] == "pending"
    await engine.run_once()
    detail = (await client.get(f"{path}/deliveries/{delivery['id']}")).json()
    assert detail["status"] == "delivered"
    assert [attempt["status_code"] for attempt in detail["attempts"]] == [500, 204]
    assert len(receiver.ids()) == 1


async def test_test_event_goes_to_one_endpoint(client: ApiClient, receiver: Receiver, engine: WebhookEngine) -> None:
    made = await create(client, receiver.url("/one"))
    await create(client, receiver.url("/two"), events=["*"])
    queued = await client.post(f"{PATH}/{made['id']}/test")
    assert queued.status_code == 202
    await engine.run_once()
    [request] = receiver.requests
    request.verify(made["secret"])
    assert request.path == "/one"
    assert request.id == queued.json()["event_id"]
    assert request.event["type"] == "webhook.test"
    assert request.event["data"]["endpoint_id"] == made["id"]
    event = (await client.get(f"/v1/events/{request.id}")).json()
    assert event == request.event
    delivery = (await client.get(f"{PATH}/{made['id']}/deliveries/{queued.json()['delivery_id']}")).json()
    assert delivery["status"] == "delivered"


async def test_rotation_gives_a_new_secret(client: ApiClient, receiver: Receiver, engine: WebhookEngine) -> None:
    made = await create(client, receiver.url())
    response = await client.post(f"{PATH}/{made['id']}/rotate_secret", idempotency_key="rotate")
    rotated = response.json()
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["previous_secret_expires_at"] is not None
    replay = await client.post(f"{PATH}/{made['id']}/rotate_secret", idempotency_key="rotate")
    assert replay.json() == rotated | {"secret": None}
    await client.post(f"{PATH}/{made['id']}/test")
    await engine.run_once()
    [request] = receiver.requests
    request.verify(made["secret"])
    request.verify(rotated["secret"])


async def test_deleting_cancels_what_waits(
    client: ApiClient, database: Database, tenant: Tenant, receiver: Receiver, engine: WebhookEngine
) -> None:
    made = await create(client, receiver.url())
    receiver.answers["/hook"] = answer(500)
    await make_email(database, tenant)
    await engine.run_once()
    response = await client.delete(f"{PATH}/{made['id']}")
    assert (response.status_code, response.content) == (204, b"")
    problem(await client.get(f"{PATH}/{made['id']}"), 404, "not_found")
    row = await database.worker.fetchrow("select status, due_at from webhook_deliveries")
    assert tuple(row) == ("cancelled", None)


async def test_at_most_fifty(client: ApiClient) -> None:
    made = [await create(client) for _ in range(MAX_ENDPOINTS)]
    document = problem(
        await client.post(PATH, json={"url": "https://hooks.example.com", "events": ["*"]}), 409, "conflict"
    )
    assert document["limit"] == MAX_ENDPOINTS
    found: list[str] = []
    cursor = None
    while True:
        page = (await client.get(PATH, params={"limit": 20} | ({"after": cursor} if cursor else {}))).json()
        found += [endpoint["id"] for endpoint in page["data"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert found == [endpoint["id"] for endpoint in reversed(made)]
    back = (await client.get(PATH, params={"limit": 20, "before": cursor})).json()
    assert [endpoint["id"] for endpoint in back["data"]] == found[19:39]
    await client.delete(f"{PATH}/{found[0]}")
    await create(client)


async def test_deliveries_are_paged_and_filtered(
    client: ApiClient, database: Database, tenant: Tenant, receiver: Receiver, engine: WebhookEngine
) -> None:
    made = await create(client, receiver.url())
    await make_email(database, tenant)
    await engine.run_once()
    receiver.answers["/hook"] = answer(500)
    for _ in range(4):
        await make_email(database, tenant)
    await engine.run_once()
    path = f"{PATH}/{made['id']}/deliveries"
    first = (await client.get(f"{path}?limit=3")).json()
    rest = (await client.get(f"{path}?limit=3&after={first['next_cursor']}")).json()
    assert [len(first["data"]), len(rest["data"])] == [3, 2]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    statuses = [delivery["status"] for delivery in first["data"] + rest["data"]]
    assert statuses == ["pending"] * 4 + ["delivered"]
    assert len((await client.get(f"{path}?status=delivered")).json()["data"]) == 1
    assert len((await client.get(f"{path}?status=delivered&status=pending")).json()["data"]) == 5
    problem(await client.get(f"{path}?status=nope"), 422, "validation_failed")


async def test_of_another_tenant_mode_or_workspace(
    client: ApiClient,
    database: Database,
    tenant: Tenant,
    stranger: Tenant,
    services: Services,
    receiver: Receiver,
    engine: WebhookEngine,
) -> None:
    made = await create(client, receiver.url())
    await make_email(database, tenant)
    await engine.run_once()
    [delivery] = (await client.get(f"{PATH}/{made['id']}/deliveries")).json()["data"]
    path = f"{PATH}/{made['id']}"
    for key in (stranger.key, tenant.test):
        other = client.as_(key)
        for method, at, body in (
            ("GET", path, None),
            ("PATCH", path, {"description": "mine"}),
            ("DELETE", path, None),
            ("POST", f"{path}/rotate_secret", None),
            ("POST", f"{path}/test", None),
            ("GET", f"{path}/deliveries", None),
            ("GET", f"{path}/deliveries/{delivery['id']}", None),
            ("POST", f"{path}/deliveries/{delivery['id']}/resend", None),
        ):
            problem(await other.request(method, at, json=body), 404, "not_found")
        assert (await other.get(PATH)).json()["data"] == []
    own = (await client.as_(stranger.key).post(PATH, json={"url": receiver.url(), "events": ["*"]})).json()
    mixed = f"{PATH}/{own['id']}/deliveries/{delivery['id']}"
    problem(await client.as_(stranger.key).get(mixed), 404, "not_found")
    assert (await client.get(path)).json()["description"] is None


async def test_scopes(client: ApiClient, database: Database) -> None:
    reader = await make_tenant(database, "Reader", scopes=["webhook_endpoints:read"])
    nobody = await make_tenant(database, "Nobody", scopes=["emails:read"])
    body = {"url": "https://hooks.example.com", "events": ["*"]}
    assert (await client.as_(reader.key).get(PATH)).status_code == 200
    problem(await client.as_(reader.key).post(PATH, json=body), 403, "missing_scope")
    problem(await client.as_(nobody.key).get(PATH), 403, "missing_scope")


async def test_without_a_key_to_seal_with(services: Services, tenant: Tenant) -> None:
    services.box = None
    async with ApiClient(create_gateway(services), tenant.key) as client:
        body = {"url": "https://hooks.example.com", "events": ["*"]}
        document = problem(await client.post(PATH, json=body), 503, "unavailable")
        assert "PENGUINMAILS_SECRET_KEYS" in document["detail"]
