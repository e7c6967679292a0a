"""`POST /v1/webhook_endpoints/{id}/test` at once: what is sent, whose secrets are recognised, what is kept of it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from redis.asyncio import Redis
from sqlalchemy import text
from svix.webhooks import Webhook

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import DatabaseSettings, WebhookSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit import ids
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.ids import Prefix
from penguinmails_webhooks.signing import decode_secret, generate_secret, verify
from tests.core.kit.http_world import http_server
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant

PATH = "/v1/webhook_endpoints"


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        webhooks=WebhookSettings(allow_private=True),
    )


class Receiver:
    """Keeps what came. `secret`: it echoes the signature that it computes with this one."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.secret: str | None = None
        self.body: Callable[[bytes], bytes] = lambda body: body
        self.url = ""
        self.while_waiting: Callable[[], Any] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        headers, body = dict(request.headers), await request.read()
        self.calls.append((headers, body))
        if self.while_waiting is not None:
            await self.while_waiting()
        if self.secret is None:
            return web.Response(status=204)
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + self.body(body)
        echo = base64.b64encode(hmac.digest(decode_secret(self.secret), content, "sha256")).decode()
        return web.Response(headers={"webhook-echo-signature": f"v1,{echo}", "set-cookie": "a=b"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with http_server(receiver.handle) as port:
        receiver.url = f"http://127.0.0.1:{port}/hooks"
        yield receiver


async def create(client: ApiClient, url: str) -> tuple[str, str]:
    """(path, secret) of a new endpoint."""
    response = await client.post(PATH, json={"url": url, "events": ["domain.*"]})
    assert response.status_code == 201, response.text
    return f"{PATH}/{response.json()['id']}", response.json()["secret"]


async def try_it(client: ApiClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(f"{path}/test", json=body or {"event_type": "email.bounced"})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["delivery_id"] is None
    return answer


def codes(answer: dict[str, Any], level: str = "error") -> list[str]:
    return [finding["code"] for finding in answer["result"]["findings"] if finding["level"] == level]


async def test_a_sample_is_sent_at_once(client: ApiClient, receiver: Receiver, tenant: Tenant) -> None:
    path, secret = await create(client, receiver.url)
    receiver.secret = secret
    answer = await try_it(client, path, event_type="email.bounced")
    result = answer["result"]
    [(headers, body)] = receiver.calls
    Webhook(secret).verify(body, headers)
    sent = json.loads(body)
    assert (headers["webhook-id"], sent["id"], headers["webhook-test"]) == (
        answer["event_id"],
        answer["event_id"],
        "true",
    )
    assert (sent["type"], sent["mode"]) == ("email.bounced", "live")
    assert sent["organization_id"] == ids.encode(Prefix.ORGANIZATION, tenant.id)
    assert result["passed"]
    assert codes(answer, "ok") == ["received", "signature_ok"]
    assert result["sent"]["body"] == body.decode()
    assert result["sent"]["headers"]["webhook-signature"] == headers["webhook-signature"]
    assert (result["addresses"], result["tls"], result["redirect"], result["error"]) == (
        ["127.0.0.1"],
        None,
        None,
        None,
    )
    assert (result["answer"]["status_code"], result["answer"]["truncated"]) == (200, False)
    assert "set-cookie" not in {name.lower() for name in result["answer"]["headers"]}
    assert result["timing"]["total_ms"] >= result["timing"]["first_byte_ms"] >= 0


async def test_nothing_of_it_is_recorded(client: ApiClient, receiver: Receiver) -> None:
    path, _ = await create(client, receiver.url)
    before = (await client.get("/v1/events")).json()["data"]
    await try_it(client, path)
    assert (await client.get(f"{path}/deliveries")).json()["data"] == []
    assert (await client.get("/v1/events")).json()["data"] == before


async def test_without_a_body_it_is_queued_as_ever(client: ApiClient, receiver: Receiver) -> None:
    path, _ = await create(client, receiver.url)
    for response in (await client.post(f"{path}/test"), await client.post(f"{path}/test", json={})):
        assert response.status_code == 202
        answer = response.json()
        assert answer["result"] is None
        delivery = (await client.get(f"{path}/deliveries/{answer['delivery_id']}")).json()
        assert (delivery["event_type"], delivery["status"]) == ("webhook.test", "pending")
    assert receiver.calls == []


async def test_a_real_event(client: ApiClient, receiver: Receiver) -> None:
    """To the byte as it would be delivered; with `data` edited, all else stays."""
    path, secret = await create(client, receiver.url)
    queued = (await client.post(f"{path}/test")).json()["event_id"]
    await try_it(client, path, event_id=queued)
    headers, body = receiver.calls.pop()
    Webhook(secret).verify(body, headers)
    assert body == (await client.get(f"/v1/events/{queued}")).content
    assert headers["webhook-id"] == queued
    edited = {"endpoint_id": "ü", "n": [1.5, None]}
    await try_it(client, path, event_id=queued, data=edited)
    headers, changed = receiver.calls.pop()
    Webhook(secret).verify(changed, headers)
    assert json.loads(changed) == json.loads(body) | {"data": edited}
    await try_it(client, path, data={"only": "data"})
    sent = json.loads(receiver.calls.pop()[1])
    assert (sent["type"], sent["data"]) == ("webhook.test", {"only": "data"})


async def test_whose_secret_it_was(client: ApiClient, receiver: Receiver, stranger: Tenant) -> None:
    """One of another endpoint of the same organization is named; another organization's is nobody's."""
    path, _ = await create(client, receiver.url)
    other, receiver.secret = await create(client, "https://hooks.example.com/other")
    answer = await try_it(client, path)
    [finding] = [found for found in answer["result"]["findings"] if found["level"] == "error"]
    assert finding["code"] == "wrong_secret"
    assert other.removeprefix(f"{PATH}/") in finding["detail"]
    foreign, receiver.secret = await create(client.as_(stranger.key), "https://hooks.example.com/foreign")
    answer = await try_it(client, path)
    assert codes(answer) == ["signature_mismatch"]
    assert foreign.removeprefix(f"{PATH}/") not in json.dumps(answer)
    assert receiver.secret not in json.dumps(answer)


async def test_the_previous_secret(client: ApiClient, receiver: Receiver) -> None:
    path, receiver.secret = await create(client, receiver.url)
    assert (await client.post(f"{path}/rotate_secret")).status_code == 200
    answer = await try_it(client, path)
    assert answer["result"]["passed"]
    assert codes(answer, "warning") == ["previous_secret"]
    assert codes(answer, "ok") == ["received", "signature_ok"]


async def test_where_the_bytes_differ(client: ApiClient, receiver: Receiver) -> None:
    path, receiver.secret = await create(client, receiver.url)
    receiver.body = lambda body: json.dumps(json.loads(body)).encode()
    answer = await try_it(client, path, data={"subject": "Grüße"})
    assert codes(answer) == ["body_reserialised"]
    finding = next(found for found in answer["result"]["findings"] if found["code"] == "body_reserialised")
    place = finding["difference"]["offset"]
    assert answer["result"]["sent"]["body"].encode()[place:].decode().startswith(finding["difference"]["expected"])


async def test_no_transaction_is_open_meanwhile(
    client: ApiClient, receiver: Receiver, database: Database, stack: EmbeddedStack, tenant: Tenant
) -> None:
    path, _ = await create(client, receiver.url)
    watcher = await asyncpg.connect(stack.database_url)
    seen: list[int] = []

    async def look() -> None:
        query = "select count(*) from pg_stat_activity where state like 'idle in transaction%'"
        seen.append(await watcher.fetchval(f"{query} and datname = current_database()"))

    try:
        async with database.tenant(tenant.id) as session:
            await session.execute(text("select 1"))
            await look()  # it can be seen
        receiver.while_waiting = look
        await try_it(client, path)
    finally:
        await watcher.close()
    assert seen == [1, 0]


async def test_what_is_refused(client: ApiClient, receiver: Receiver, stranger: Tenant) -> None:
    path, _ = await create(client, receiver.url)

    async def refused(status: int, code: str, **body: Any) -> dict[str, Any]:
        return problem(await client.post(f"{path}/test", json=body), status, code)

    unknown = await refused(422, "validation_failed", event_type="email.lost")
    assert unknown["errors"][0]["pointer"] == "/event_type"
    theirs, _ = await create(client.as_(stranger.key), receiver.url)
    event = (await client.as_(stranger.key).post(f"{theirs}/test")).json()["event_id"]
    await refused(404, "not_found", event_id=event)
    await refused(422, "validation_failed", event_id="evt_1")
    await refused(422, "validation_failed", event_id=event, event_type="email.sent")
    await refused(422, "validation_failed", data={"text": "x" * 70_000})
    surrogate = await client.post(
        f"{path}/test", content=b'{"data": {"a": "\\ud83d"}}', headers={"content-type": "application/json"}
    )
    assert surrogate.status_code == 422
    problem(await client.as_(stranger.key).post(f"{path}/test", json={"event_type": "email.sent"}), 404, "not_found")
    made = await client.post("/v1/api_keys", json={"name": "k", "scopes": ["webhook_endpoints:write"]})
    narrow = client.as_(made.json()["secret"])
    assert (await narrow.post(f"{path}/test", json={"event_type": "email.sent"})).status_code == 200
    problem(await narrow.post(f"{path}/test", json={"event_id": event}), 403, "missing_scope")


async def test_a_rehearsal_and_a_replay(client: ApiClient, receiver: Receiver) -> None:
    path, _ = await create(client, receiver.url)
    rehearsed = await client.post(f"{path}/test?dry_run=true", json={"event_type": "email.sent"})
    assert (rehearsed.status_code, rehearsed.json()["result"]) == (200, None)
    assert receiver.calls == []
    twice = [
        await client.post(f"{path}/test", json={"event_type": "email.sent"}, idempotency_key="once") for _ in range(2)
    ]
    assert twice[0].json() == twice[1].json()
    assert twice[1].headers["Idempotency-Replayed"] == "true"


async def test_a_disabled_endpoint_may_be_tried(client: ApiClient, receiver: Receiver) -> None:
    path, _ = await create(client, receiver.url)
    await client.patch(path, json={"status": "disabled"})
    assert (await try_it(client, path))["result"]["passed"]


async def test_it_cannot_be_sent_inside(
    database: Database, redis: Redis, stack: EmbeddedStack, tenant: Tenant, receiver: Receiver
) -> None:
    """A public name that leads inside: refused, its address is not told, and nothing arrives."""
    port = receiver.url.split(":")[2].split("/")[0]
    settings = Settings(database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2))
    world = StaticResolver({"rebound.example.com": {"A": ["127.0.0.1"]}})
    services: Services = await open_services(
        stack.database_url, stack.redis_url, settings, box=SecretBox([b"k" * 32]), resolver=world
    )
    try:
        async with ApiClient(create_gateway(services), tenant.key) as client:
            path, _ = await create(client, f"https://rebound.example.com:{port}/")
            answer = await try_it(client, path)
    finally:
        await services.close()
    assert answer["result"]["error"]["code"] == "forbidden_address"
    assert (answer["result"]["addresses"], answer["result"]["answer"]) == ([], None)
    assert "127.0.0.1" not in json.dumps(answer)
    assert receiver.calls == []


async def test_as_the_endpoint_wants_it(client: ApiClient, receiver: Receiver) -> None:
    """Its headers, of which secret ones are not shown; thin; signed with Ed25519, also by the key before."""
    wanted = {
        "url": receiver.url,
        "events": ["*"],
        "payload": "thin",
        "signature": "ed25519",
        "headers": {"x-team": "orders"},
        "secret_headers": {"authorization": "Bearer hidden-token"},
    }
    made = await client.post(PATH, json=wanted)
    assert made.status_code == 201, made.text
    path = f"{PATH}/{made.json()['id']}"
    old = made.json()["public_key"]
    assert (await client.post(f"{path}/rotate_secret")).status_code == 200
    new = (await client.get(path)).json()["public_key"]
    receiver.secret = generate_secret()
    answer = await try_it(client, path, event_type="email.sent")
    headers, body = receiver.calls.pop()
    for key in (old, new):
        verify([key], headers, body)
    seen = {name.lower(): value for name, value in headers.items()}
    assert (seen["x-team"], seen["authorization"]) == ("orders", "Bearer hidden-token")
    assert "hidden-token" not in json.dumps(answer)
    assert answer["result"]["sent"]["headers"]["x-team"] == "orders"
    assert all(name.endswith("_id") for name in json.loads(body)["data"])
    assert codes(answer, "warning") == ["echo_not_comparable"]
    assert answer["result"]["passed"]
