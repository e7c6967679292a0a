"""How fast, how many at once and in which order: what an endpoint may ask for, in REST and in GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.services import Settings
from penguinmails_core.config import WebhookSettings
from penguinmails_core.kit.db import Database
from penguinmails_core.models.webhook import HELD
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant

PATH = "/v1/webhook_endpoints"
NEW = {"url": "https://hooks.example.com/in", "events": ["email.*"]}
WELL = {
    "state": "healthy",
    "failing_since": None,
    "consecutive_failures": 0,
    "retry_at": None,
    "throttled_since": None,
    "next_probe_at": None,
}


@pytest.fixture
def settings() -> Settings:
    return Settings(webhooks=WebhookSettings(allow_private=True))


async def test_pace_is_set_changed_and_taken_away(client: ApiClient) -> None:
    asked: dict[str, Any] = {"throttle": {"limit": 10, "per": "second"}, "concurrency": 3, "fifo": "email_id"}
    made = (await client.post(PATH, json=NEW | asked)).json()
    assert {name: made[name] for name in asked} == asked
    assert made["health"] == WELL
    path = f"{PATH}/{made['id']}"
    assert (await client.get(path)).json()["throttle"] == asked["throttle"]

    changed = (await client.patch(path, json={"throttle": {"limit": 90, "per": "minute"}})).json()
    assert (changed["throttle"], changed["concurrency"], changed["fifo"]) == (
        {"limit": 90, "per": "minute"},
        3,
        "email_id",
    )
    nothing = {"throttle": None, "concurrency": None, "fifo": None}
    changed = (await client.patch(path, json=nothing)).json()
    assert {name: changed[name] for name in nothing} == nothing
    plain = (await client.post(PATH, json=NEW)).json()
    assert {name: plain[name] for name in nothing} == nothing


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"throttle": {"limit": 0, "per": "second"}}, "/throttle/limit"),
        ({"throttle": {"limit": 2**60, "per": "second"}}, "/throttle/limit"),
        ({"throttle": {"limit": 1, "per": "hour"}}, "/throttle/per"),
        ({"throttle": {"limit": 1}}, "/throttle/per"),
        ({"throttle": {"limit": 1, "per": "second", "burst": 3}}, "/throttle/burst"),
        ({"concurrency": 0}, "/concurrency"),
        ({"concurrency": 101}, "/concurrency"),
        ({"fifo": "subject"}, "/fifo"),
    ],
)
async def test_what_cannot_be(client: ApiClient, wrong: dict[str, Any], pointer: str) -> None:
    document = problem(await client.post(PATH, json=NEW | wrong), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [pointer]


async def test_changes_of_pace_are_audited(client: ApiClient) -> None:
    made = (await client.post(PATH, json=NEW)).json()
    await client.patch(f"{PATH}/{made['id']}", json={"throttle": {"limit": 5, "per": "minute"}, "fifo": "endpoint"})
    entries = (await client.get("/v1/audit_logs", params={"action": "webhook_endpoint.updated"})).json()["data"]
    assert entries[0]["after"] == {"throttle_limit": 5, "throttle_period": "minute", "fifo": "endpoint"}


async def test_health_is_no_part_of_the_etag(client: ApiClient, database: Database) -> None:
    made = (await client.post(PATH, json=NEW)).json()
    path = f"{PATH}/{made['id']}"
    tag = (await client.get(path)).headers["etag"]
    await database.worker.execute(
        "update webhook_endpoints set consecutive_failures = 7, breaker = 'open', breaker_until = now() + '1 minute'"
    )
    answer = await client.get(path)
    assert answer.json()["health"]["state"] == "open"
    assert answer.json()["health"]["retry_at"] is not None
    assert answer.json()["health"]["consecutive_failures"] == 7
    changed = await client.patch(path, json={"description": "x"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    enabled = (await client.patch(path, json={"status": "enabled"})).json()
    assert enabled["health"] == WELL


async def test_a_delivery_tells_what_it_waits_for(client: ApiClient, database: Database, tenant: Tenant) -> None:
    made = (await client.post(PATH, json=NEW)).json()
    queued = (await client.post(f"{PATH}/{made['id']}/test")).json()
    path = f"{PATH}/{made['id']}/deliveries/{queued['delivery_id']}"
    delivery = (await client.get(path)).json()
    assert (delivery["held"], delivery["fifo_key"], delivery["throttled_ms"]) == (False, None, 0)
    assert delivery["next_attempt_at"] is not None
    await database.worker.execute(
        "update webhook_deliveries set due_at = $1, fifo_key = 'k', fifo_position = 2, throttled_ms = 1200", HELD
    )
    delivery = (await client.get(path)).json()
    assert (delivery["held"], delivery["fifo_key"], delivery["throttled_ms"]) == (True, "k", 1200)
    assert delivery["next_attempt_at"] is None
