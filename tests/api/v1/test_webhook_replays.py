"""`/v1/webhook_replays` and `POST /v1/webhook_endpoints/{id}/replay`, through the gateway, to a real receiver."""

from __future__ import annotations

from typing import Any

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_webhooks.engine import WebhookEngine
from penguinmails_webhooks.replays import Replays
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_email
from tests.fixtures.hooks import engine, receiver, settings
from tests.webhooks.engine.world import Receiver, answer

__all__ = ["engine", "receiver", "settings"]


ENDPOINTS, REPLAYS = "/v1/webhook_endpoints", "/v1/webhook_replays"


async def endpoint(client: ApiClient, receiver: Receiver) -> dict[str, Any]:
    response = await client.post(ENDPOINTS, json={"url": receiver.url(), "events": ["email.*"]})
    made: dict[str, Any] = response.json()
    return made


async def test_from_asking_to_the_end(
    client: ApiClient, database: Database, tenant: Tenant, services: Services, receiver: Receiver, engine: WebhookEngine
) -> None:
    made = await endpoint(client, receiver)
    receiver.answers["/hook"] = answer(503)
    for number in range(3):
        await make_email(database, tenant, subject=str(number))
    await engine.run_once()
    receiver.answers.clear()
    receiver.requests.clear()

    asked = await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={}, idempotency_key="again")
    assert asked.status_code == 202
    replay = asked.json()
    assert (replay["status"], replay["only"], replay["since"]) == ("queued", "missing", made["created_at"])
    assert (replay["total"], replay["done"], replay["progress"], replay["finished_at"]) == (None, 0, 0, None)
    repeated = await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={}, idempotency_key="again")
    assert (repeated.headers["idempotency-replayed"], repeated.json()) == ("true", replay)
    document = problem(await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={}), 409, "conflict")
    assert document["replay_id"] == replay["id"]

    worker = Replays(services.database, services.doorbell)
    for _ in range(4):
        await worker.run_once()
        await engine.run_once()
    done = (await client.get(f"{REPLAYS}/{replay['id']}")).json()
    # Looked at were the three, and that the endpoint was made.
    assert (done["status"], done["progress"], done["total"], done["done"]) == ("completed", 1, 4, 4)
    assert (done["created"], done["resent"], done["delivered"], done["pending"], done["failed"]) == (0, 3, 3, 0, 0)
    assert {request.event["data"]["subject"] for request in receiver.requests} == {"0", "1", "2"}

    # What was received is replayed one by one, and only then.
    receiver.requests.clear()
    event_id = (await client.get("/v1/events?types=email.*")).json()["data"][1]["id"]
    one = (await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={"event_id": event_id})).json()
    assert (one["event_id"], one["only"]) == (event_id, None)
    await worker.run_once()
    await engine.run_once()
    assert [request.id for request in receiver.requests] == [event_id]
    assert [row["id"] for row in (await client.get(REPLAYS)).json()["data"]] == [one["id"], replay["id"]]
    page = (await client.get(f"{REPLAYS}?endpoint_id={made['id']}&status=completed&limit=1")).json()
    assert [row["id"] for row in page["data"]] == [replay["id"]]


async def test_cancel(client: ApiClient, receiver: Receiver, services: Services) -> None:
    made = await endpoint(client, receiver)
    replay = (await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={"only": "all"})).json()
    for _ in range(2):
        cancelled = await client.post(f"{REPLAYS}/{replay['id']}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await client.get(f"{REPLAYS}?status=cancelled")).json()["data"] == [cancelled.json()]
    other = (await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={})).json()
    worker = Replays(services.database, services.doorbell)
    await worker.run_once()
    await worker.run_once()
    document = problem(await client.post(f"{REPLAYS}/{other['id']}/cancel"), 409, "conflict")
    assert document["current_status"] == "completed"
    entries = (await client.get("/v1/audit_logs")).json()["data"]
    actions = [entry["action"] for entry in entries if "replay" in entry["action"]]
    assert sorted(actions) == ["webhook_endpoint.replay_cancelled", *["webhook_endpoint.replayed"] * 2]


async def test_what_is_wrong_is_named(client: ApiClient, receiver: Receiver) -> None:
    path = f"{ENDPOINTS}/{(await endpoint(client, receiver))['id']}/replay"
    event = ids.encode("evt", ids.new_uuid())
    for body, pointer in (
        ({"event_id": "evt_x"}, "/event_id"),
        ({"event_id": event}, "/event_id"),
        ({"event_id": event, "only": "all"}, ""),
        ({"only": "some"}, "/only"),
        ({"types": []}, "/types"),
        ({"types": ["email.lost"]}, "/types/0"),
        ({"since": "yesterday"}, "/since"),
        ({"since": "2999-01-01T00:00:00Z"}, "/since"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"event": event}, "/event"),
    ):
        document = problem(await client.post(path, json=body), 422, "validation_failed")
        assert [error["pointer"] for error in document["errors"]] == [pointer], body
    problem(await client.get(f"{REPLAYS}?endpoint_id=whe_x"), 404, "not_found")
    problem(await client.get(f"{REPLAYS}?status=over"), 422, "validation_failed")


async def test_only_a_key_that_may_write_asks_for_one(
    client: ApiClient, receiver: Receiver, stranger: Tenant, tenant: Tenant
) -> None:
    made = await endpoint(client, receiver)
    replay = (await client.post(f"{ENDPOINTS}/{made['id']}/replay", json={})).json()
    for key in (stranger.key, tenant.test):
        other = client.as_(key)
        assert (await other.get(REPLAYS)).json()["data"] == []
        problem(await other.get(f"{REPLAYS}/{replay['id']}"), 404, "not_found")
