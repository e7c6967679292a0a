"""Webhook endpoints that lead to queues: from the API to the entry in the stream."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from redis.asyncio import Redis
from svix.webhooks import Webhook

from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.db import Database
from penguinmails_webhooks.engine import WebhookEngine
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.hooks import engine, settings
from tests.fixtures.services import client, services, tenant

__all__ = ["client", "engine", "services", "settings", "tenant"]


PATH = "/v1/webhook_endpoints"
NATS = {"type": "nats", "subject": "penguinmails.events"}


async def create(client: ApiClient, url: str, **destination: Any) -> dict[str, Any]:
    body = {"url": url, "events": ["*"], "destination": destination}
    response = await client.post(PATH, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def pointers(response: httpx.Response) -> set[str]:
    return {error["pointer"] for error in problem(response, 422, "validation_failed")["errors"]}


async def test_events_go_to_a_stream_signed_and_are_recorded(
    client: ApiClient, engine: WebhookEngine, stack: EmbeddedStack, redis: Redis, database: Database
) -> None:
    parts = urlsplit(stack.redis_url)
    password = parts.password
    made = await create(
        client,
        f"redis://{parts.hostname}:{parts.port}/5",
        type="redis_stream",
        stream="events",
        max_length=1000,
        **({"secret": password} if password else {}),
    )
    assert made["destination"]["secret_set"] is (password is not None)
    shown = (await client.get(f"{PATH}/{made['id']}")).text
    assert password is None or password not in shown
    at_once = await client.post(f"{PATH}/{made['id']}/test", json={"event_type": "email.bounced"})
    problem(at_once, 409, "conflict")
    assert (await client.post(f"{PATH}/{made['id']}/test")).status_code == 202
    await engine.run_once()
    async with Redis.from_url(f"redis://{parts.hostname}:{parts.port}/5", password=password) as reader:
        entries: Any = await reader.xrange("events")
        await reader.flushdb()
    fields = {name.decode(): value for name, value in entries[-1][1].items()}
    body = fields.pop("body")
    Webhook(made["secret"]).verify(body, {name: value.decode() for name, value in fields.items()})
    assert fields["id"].decode() == orjson.loads(body)["id"] == fields["webhook-id"].decode()
    found = (await client.get(f"{PATH}/{made['id']}/deliveries")).json()["data"][0]
    assert (found["status"], found["last_status_code"]) == ("delivered", 202)
    attempt = (await client.get(f"{PATH}/{made['id']}/deliveries/{found['id']}")).json()["attempts"][0]
    assert orjson.loads(attempt["response_body"])["entry_id"]
    stored = await database.worker.fetchrow("select * from webhook_endpoints")
    assert password is None or password not in str(dict(stored))


async def test_what_refuses_is_tried_again(
    client: ApiClient, engine: WebhookEngine, stack: EmbeddedStack, redis: Redis
) -> None:
    parts = urlsplit(stack.redis_url)
    made = await create(
        client,
        f"redis://{parts.hostname}:{parts.port}/5",
        type="redis_stream",
        stream="events",
        username="nobody",
        secret="wrong password",
    )
    await client.post("/v1/suppressions", json={"address": "ada@example.com"})
    await engine.run_once()
    deliveries = (await client.get(f"{PATH}/{made['id']}/deliveries")).json()["data"]
    assert {item["status"] for item in deliveries} == {"pending"}
    assert {item["last_error"].partition(":")[0] for item in deliveries} == {"rejected"}
    assert "wrong password" not in str(deliveries)


async def test_destinations_are_checked(client: ApiClient) -> None:
    async def refused(url: str, destination: Any) -> set[str]:
        body = {"url": url, "events": ["*"], "destination": destination}
        return pointers(await client.post(PATH, json=body))

    assert await refused("https://a.example.com", {"type": "redis_stream"}) == {"/url", "/destination/stream"}
    assert await refused("tls://n.example.com", {"type": "nats"}) == {"/destination/subject"}
    assert await refused("https://a.example.com", {"type": "kafka"}) == {"/destination/type"}
    assert await refused("https://a.example.com", {"type": "http", "stream": "s"}) == {"/destination/stream"}
    assert await refused("https://a.example.com", {"type": "http", "secret": "s"}) == {"/destination/secret"}
    assert await refused("tls://n.example.com", NATS | {"stream": "s"}) == {"/destination/stream"}
    assert await refused("tls://n.example.com", NATS | {"username": "a\0b", "secret": "x"}) == {"/destination/username"}
    assert await refused("tls://n.example.com", {"type": "http"}) == {"/url"}
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"
    assert await refused(queue, {"type": "sqs"}) == {"/destination/access_key_id", "/destination/secret"}


async def test_a_destination_is_changed_as_a_whole_and_keeps_its_secret(client: ApiClient) -> None:
    made = await create(client, "tls://n.example.com:4222", secret="token-of-nats", **NATS)
    path = f"{PATH}/{made['id']}"
    changed = (await client.patch(path, json={"destination": NATS | {"jetstream": False}})).json()
    assert (changed["destination"]["jetstream"], changed["destination"]["secret_set"]) == (False, True)
    assert pointers(await client.patch(path, json={"url": "https://a.example.com"})) == {"/url"}
    assert (await client.patch(path, json={"url": "tls://m.example.com"})).json()["url"] == "tls://m.example.com"
    assert pointers(await client.patch(path, json={"destination": {"type": "http"}})) == {"/url"}
    plain = (await client.patch(path, json={"url": "https://a.example.com", "destination": {"type": "http"}})).json()
    assert plain["destination"] == dict.fromkeys(plain["destination"]) | {
        "type": "http",
        "secret_set": False,
    }
    log = (await client.get("/v1/audit_logs")).text
    assert "token-of-nats" not in log


async def test_http_is_what_it_is_without_a_word(client: ApiClient) -> None:
    body = {"url": "https://a.example.com", "events": ["*"]}
    made = (await client.post(PATH, json=body)).json()
    assert (made["destination"]["type"], made["destination"]["secret_set"]) == ("http", False)
