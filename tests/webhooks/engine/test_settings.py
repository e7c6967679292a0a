"""What an endpoint was told about its requests, seen by a real receiver."""

from __future__ import annotations

import base64
import logging
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from penguinmails_core.config import WebhookSettings
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_webhooks import signing
from penguinmails_webhooks.catalogue import CATALOGUE, EventData, Older
from penguinmails_webhooks.endpoints import webhook_endpoints
from penguinmails_webhooks.payloads import Part
from tests.core.kit.http_world import certificate
from tests.fixtures.certificates import make_certificate
from tests.webhooks.engine.world import BOX, Receiver, World

SERVICE = webhook_endpoints(BOX, WebhookSettings(allow_private=True))
SENT = dict(CATALOGUE[EventType.EMAIL_SENT].example)


async def change(world: World, endpoint_id: Any, **changes: Any) -> None:
    async with world.database.tenant(world.tenant.id) as session:
        await SERVICE.update(session, world.tenant.principal(), endpoint_id, changes)


async def test_thin(world: World, receiver: Receiver) -> None:
    _, secret = await world.endpoint(receiver.url(), payload="thin")
    await world.happen(type_="email.sent", data=SENT)
    await world.engine().run_once()
    [request] = receiver.requests
    request.verify(secret)
    assert request.event["data"] == {"email_id": SENT["email_id"], "recipient_id": SENT["recipient_id"]}
    assert request.event["type"] == "email.sent"


async def test_headers_are_sent_and_ours_win(world: World, receiver: Receiver) -> None:
    endpoint, secret = await world.endpoint(
        receiver.url(), headers={"X-Env": "prod"}, secret_headers={"Authorization": "Bearer hunter2"}
    )
    await world.happen()
    engine = world.engine()
    await engine.run_once()
    [request] = receiver.requests
    request.verify(secret)
    assert (request.headers["x-env"], request.headers["authorization"]) == ("prod", "Bearer hunter2")
    assert request.headers["content-type"] == "application/json"

    await change(world, endpoint.id, headers=None, secret_headers={"Authorization": "Bearer other"})
    await world.database.worker.execute("delete from events where type like 'webhook_endpoint.%'")
    await world.happen()
    await engine.run_once()
    request = receiver.requests[-1]
    assert "x-env" not in request.headers
    assert request.headers["authorization"] == "Bearer other"


async def test_ed25519(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url(), signature="ed25519")
    assert endpoint.public_key is not None
    await world.happen()
    await world.engine().run_once()
    [request] = receiver.requests
    assert request.headers["webhook-signature"].startswith("v1a,")
    signing.verify([endpoint.public_key], dict(request.headers), request.body)


async def test_three_secrets_sign_until_they_expire_or_are_ended(world: World, receiver: Receiver) -> None:
    endpoint, first = await world.endpoint(receiver.url())
    principal = world.tenant.principal()
    own = "whsec_" + base64.b64encode(b"o" * 32).decode()
    async with world.database.tenant(world.tenant.id) as session:
        await SERVICE.rotate_secret(session, principal, endpoint.id, signature="ed25519")
        made, _ = await SERVICE.rotate_secret(session, principal, endpoint.id, secret=own, overlap=timedelta(hours=1))
        public = made.older_secrets[0]["public_key"]
        old = made.older_secrets[0]["id"]
    await world.database.worker.execute("delete from events where type like 'webhook_endpoint.%'")
    await world.happen()
    engine = world.engine()
    await engine.run_once()
    [request] = receiver.requests
    versions = [part.partition(",")[0] for part in request.headers["webhook-signature"].split(" ")]
    assert versions == ["v1", "v1a", "v1"]
    for secret in (first, own, public):
        signing.verify([secret], dict(request.headers), request.body)

    async with world.database.tenant(world.tenant.id) as session:
        await SERVICE.end_secret(session, principal, endpoint.id, UUID(old))
    await world.happen()
    await engine.run_once()
    assert [p[:3] for p in receiver.requests[-1].headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]

    expired = "jsonb_set(older_secrets, '{0,expires_at}', '\"2020-01-01T00:00:00.000Z\"')"
    await world.database.worker.execute(f"update webhook_endpoints set older_secrets = {expired}")
    await world.happen()
    await engine.run_once()
    signing.verify([own], dict(receiver.requests[-1].headers), receiver.requests[-1].body)
    assert " " not in receiver.requests[-1].headers["webhook-signature"]


async def test_headers_that_do_not_open_are_a_recorded_failure(world: World, receiver: Receiver) -> None:
    await world.endpoint(receiver.url(), secret_headers={"Authorization": "x"})
    await world.database.worker.execute("update webhook_endpoints set secret_headers = secret_headers || 'x'")
    await world.happen()
    await world.engine().run_once()
    assert receiver.requests == []
    [delivery] = await world.deliveries()
    assert delivery["last_error"].startswith("secret: ")


async def test_a_filter_makes_no_delivery_of_what_it_keeps_out(world: World, receiver: Receiver) -> None:
    filtered, _ = await world.endpoint(receiver.url("/filtered"), filter={"data.tags": "vip", "type": "email.sent"})
    await world.endpoint(receiver.url("/all"))
    await world.happen(type_="email.sent", data=SENT)
    await world.happen(type_="email.sent", data=SENT | {"tags": ["vip", "order"]})
    await world.happen(type_="email.failed", data=SENT | {"tags": ["vip"]})
    engine = world.engine()
    await engine.run_once()
    assert len(receiver.at("/all")) == 3
    [request] = receiver.at("/filtered")
    assert request.event["data"]["tags"] == ["vip", "order"]
    assert len(await world.deliveries(filtered)) == 1

    await change(world, filtered.id, filter={"data.tags": {"$nin": ["vip"]}})
    await world.database.worker.execute("delete from events where type like 'webhook_endpoint.%'")
    await world.happen(type_="email.sent", data=SENT)
    await world.happen(type_="email.sent", data=SENT | {"tags": ["vip"]})
    await engine.run_once()
    assert [request.event["data"]["tags"] for request in receiver.at("/filtered")] == [["vip", "order"], ["order"]]


async def test_a_filter_of_an_older_version_stops_nobody(
    world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    await world.endpoint(receiver.url(), filter={"data.tags": "vip"})
    await world.database.worker.execute('update webhook_endpoints set filter = \'{"a": {"$regex": 1}}\'')
    await world.happen()
    with caplog.at_level(logging.ERROR):
        await world.engine().run_once()
    assert len(receiver.requests) == 1
    assert "cannot be read" in caplog.text


async def test_an_endpoint_is_not_told_of_itself(world: World, receiver: Receiver) -> None:
    endpoint, _ = await world.endpoint(receiver.url("/itself"))
    await world.endpoint(receiver.url("/other"))
    await change(world, endpoint.id, description="changed")
    await world.engine().run_once()
    assert receiver.at("/itself") == []
    [request] = receiver.at("/other")
    assert (request.event["type"], request.event["data"]["changed"]) == ("webhook_endpoint.updated", ["description"])


async def test_a_pinned_endpoint_gets_what_the_event_was(world: World, receiver: Receiver) -> None:
    """With an event that has a second version, for this test only."""

    class First(Part):
        name: str

    before = CATALOGUE[EventType.DOMAIN_DRIFT]
    first = Older(1, First, {"name": "a.example"}, lambda data: {"name": data["names"][0]})

    class Second(EventData, event=EventType.DOMAIN_DRIFT, example={"names": ["a.example"]}, version=2, older=(first,)):
        """An event that has changed its shape."""

        names: list[str]

    try:
        await world.endpoint(receiver.url("/old"), headers={"X-A": "1"}, schema_version=1)
        newer, _ = await world.endpoint(receiver.url("/new"))
        await world.database.worker.execute("update webhook_endpoints set schema_version = 2 where id = $1", newer.id)
        await world.happen(type_="domain.drift", data=dict(Second.example))
        await world.database.worker.execute("update events set schema_version = 2")
        await world.engine().run_once()
    finally:
        CATALOGUE[EventType.DOMAIN_DRIFT] = before
    shapes = {request.path: (request.event["schema_version"], request.event["data"]) for request in receiver.requests}
    assert shapes == {"/old": (1, {"name": "a.example"}), "/new": (2, {"names": ["a.example"]})}


async def test_a_client_certificate_is_shown_to_who_asks(world: World, receiver: Receiver, tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, ["127.0.0.1"])
    pem, key = make_certificate("penguinmails-caller")
    context.load_verify_locations(cadata=pem)
    context.verify_mode = ssl.CERT_REQUIRED
    port = await receiver.listen_securely(context)
    url = f"https://127.0.0.1:{port}"
    await world.endpoint(f"{url}/with", client_certificate={"certificate": pem, "private_key": key})
    without, _ = await world.endpoint(f"{url}/without")
    await world.happen()

    def trust() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=trusted)

    async with OutgoingHttp(allow_private=True, timeout=5, trust=trust) as http:
        await world.engine(http=http).run_once()
    assert [request.path for request in receiver.requests] == ["/with"]
    [refused] = await world.deliveries(without)
    assert refused["status"] == "pending"
