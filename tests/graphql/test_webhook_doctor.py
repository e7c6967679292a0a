"""A webhook endpoint tested at once, through GraphQL, with a real receiver that makes a mistake."""

from __future__ import annotations

import base64
import hmac
import json

import pytest
from aiohttp import web

from penguinmails_api.services import Settings
from penguinmails_core.config import DatabaseSettings, WebhookSettings
from penguinmails_webhooks.signing import decode_secret
from tests.core.kit.http_world import http_server
from tests.graphql.conftest import GraphClient

TEST = """mutation ($id: ID!, $type: String, $event: ID, $data: JSON, $key: String) {
  testWebhookEndpoint(id: $id, eventType: $type, eventId: $event, data: $data, idempotencyKey: $key) {
    eventId deliveryId result { passed statusCode sentBody sentHeaders addresses error redirect
      tls { trusted } timing { totalMs } findings { level code detail difference { offset expected got } } } } }"""


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        webhooks=WebhookSettings(allow_private=True),
    )


async def test_at_once(graph: GraphClient) -> None:
    secrets: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        body = json.dumps(await request.json()).encode()
        content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
        echo = base64.b64encode(hmac.digest(decode_secret(secrets[0]), content, "sha256")).decode()
        return web.Response(status=400, headers={"webhook-echo-signature": echo})

    async with http_server(handler) as port:
        made = await graph(
            """mutation ($url: String!) { createWebhookEndpoint(input: {url: $url, events: ["*"]}) {
            secret webhookEndpoint { id } } }""",
            url=f"http://127.0.0.1:{port}/",
        )
        secrets.append(made["createWebhookEndpoint"]["secret"])
        hook = made["createWebhookEndpoint"]["webhookEndpoint"]["id"]
        first = (await graph(TEST, id=hook, type="email.sent", data={"a": 1}, key="k"))["testWebhookEndpoint"]
        again = (await graph(TEST, id=hook, type="email.sent", data={"a": 1}, key="k"))["testWebhookEndpoint"]
    result = first["result"]
    assert (result["passed"], result["statusCode"], first["deliveryId"]) == (False, 400, None)
    assert [found["code"] for found in result["findings"]] == ["status", "body_reserialised"]
    assert result["findings"][1]["difference"]["expected"].startswith('"')
    assert json.loads(result["sentBody"])["data"] == {"a": 1}
    assert result["sentHeaders"]["webhook-id"] == first["eventId"]
    assert again == {"eventId": first["eventId"], "deliveryId": None, "result": None}, "a replay knows no result"


async def test_what_is_refused(graph: GraphClient) -> None:
    made = await graph(
        """mutation { createWebhookEndpoint(input: {url: "https://hooks.example.com/", events: ["*"]}) {
        webhookEndpoint { id } } }"""
    )
    hook = made["createWebhookEndpoint"]["webhookEndpoint"]["id"]
    event = "evt_01kaz6yzwhe1xrqm3c8s4q3m8r"
    for given, code in (
        ({"type": "email.lost"}, "validation_failed"),
        ({"type": "email.sent", "event": event}, "validation_failed"),
        ({"data": [1]}, "validation_failed"),
        ({"event": event}, "not_found"),
    ):
        assert (await graph.error(TEST, id=hook, **given))["code"] == code
