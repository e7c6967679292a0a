"""`POST /inbound/{token}` and its resources, through the gateway, with the senders' own signatures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services, Settings
from penguinmails_core.config import DatabaseSettings, InboundSettings
from penguinmails_core.errors import NotFound
from penguinmails_core.inbound import handling_sql
from penguinmails_core.inbound.records import Discard, InboundRequest, ReceivedMessage, Refused
from penguinmails_core.inbound.worker import WAITS, InboundWorker
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.maintenance.service import Maintenance
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant
from tests.webhooks.inbound.senders import SENDERS, b64_mac, with_header

SOURCES, MESSAGES = "/v1/inbound_sources", "/v1/inbound_messages"


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=3),
        inbound=InboundSettings(max_body_bytes=4096, rate_burst=40, rate_limit=1),
    )


class Handler:
    """An integration that does as it is told."""

    def __init__(self, name: str, schemes: tuple[str, ...] = ("github",)) -> None:
        self.name = name
        self.schemes = schemes
        self.seen: list[ReceivedMessage] = []
        self.errors: list[Exception] = []

    def wants(self, scheme: str, event: str | None) -> bool:
        return scheme in self.schemes and event != "unwanted"

    async def handle(self, message: ReceivedMessage) -> None:
        self.seen.append(message)
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def handlers(services: Services) -> tuple[Handler, Handler]:
    found = (Handler("crm_sync"), Handler("notify"))
    services.inbound_handlers = found
    return found


@pytest.fixture
def worker(services: Services, handlers: tuple[Handler, Handler]) -> InboundWorker:
    return InboundWorker(services.database, services.doorbell, services.settings.inbound, handlers, scale=0)


@pytest.fixture
async def outside(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody on the internet."""
    transport = httpx.ASGITransport(create_gateway(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        yield http


async def create(client: ApiClient, scheme: str = "github", **members: Any) -> dict[str, Any]:
    body = {"name": scheme, "scheme": scheme, "secret": SENDERS[scheme].secret} | members
    response = await client.post(SOURCES, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def path_of(source: dict[str, Any]) -> str:
    return "/inbound/" + str(source["url"]).rpartition("/")[2]


async def send(http: httpx.AsyncClient, source: dict[str, Any], sent: InboundRequest) -> httpx.Response:
    return await http.post(path_of(source), content=sent.body, headers=dict(sent.headers))


def genuine(scheme: str, body: bytes | None = None) -> InboundRequest:
    """Of GitHub, another body is another delivery."""
    sender = SENDERS[scheme]
    if body is None:
        return sender.send(sender.secret, time.time(), sender.body)
    sent = sender.send(sender.secret, time.time(), body)
    return with_header(sent, "X-GitHub-Delivery", body[:40].hex()) if scheme == "github" else sent


async def test_a_proven_message_is_kept_and_told(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client)
    answer = await send(outside, source, genuine("github"))
    assert (answer.status_code, answer.content) == (200, b"")
    message_id = answer.headers["penguinmails-message"]
    found = (await client.get(f"{MESSAGES}/{message_id}")).json()
    assert found["status"] == "processed"
    assert (found["event"], found["delivery_id"], found["source_id"]) == ("ping", "72d3162e", source["id"])
    assert found["body"].encode() == SENDERS["github"].body
    assert found["body_encoding"] == "utf-8"
    assert found["headers"]["x-hub-signature-256"] == "***"
    assert found["headers"]["x-github-event"] == "ping"
    event = (await client.get("/v1/events", params={"types": "inbound.*"})).json()["data"]
    assert [(item["type"], item["data"]["message_id"], item["sequence"]) for item in event] == [
        ("inbound.received", message_id, 1)
    ]
    assert (await client.get("/v1/events", params={"resource_id": message_id})).json()["data"] == event
    listed = (await client.get(MESSAGES)).json()["data"]
    assert [item["id"] for item in listed] == [message_id]


async def test_a_repeat_is_answered_and_dropped(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client)
    answers = await asyncio.gather(*(send(outside, source, genuine("github")) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    (message_id,) = {answer.headers["penguinmails-message"] for answer in answers}
    found = (await client.get(f"{MESSAGES}/{message_id}")).json()
    assert found["duplicates"] == 7
    assert len((await client.get("/v1/events", params={"types": "inbound.*"})).json()["data"]) == 1


async def test_a_captured_request_does_not_pass_with_another_id(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client)
    first = await send(outside, source, genuine("github"))
    forged = genuine("github")
    again = await outside.post(
        path_of(source), content=forged.body, headers={**forged.headers, "x-github-delivery": "made-up"}
    )
    assert again.headers["penguinmails-message"] == first.headers["penguinmails-message"]


@pytest.mark.parametrize("scheme", list(SENDERS))
async def test_every_scheme_all_the_way(
    client: ApiClient, outside: httpx.AsyncClient, services: Services, scheme: str
) -> None:
    sender = SENDERS[scheme]
    source = await create(client, scheme, **({"settings": sender.settings} if sender.settings else {}))
    sent = genuine(scheme)
    if scheme == "hubspot":  # signs the URL that it calls
        stamp = sent.headers["x-hubspot-request-timestamp"]
        signed = b"POST" + source["url"].encode() + sent.body + stamp.encode()
        sent.headers["x-hubspot-signature-v3"] = b64_mac(sender.secret, signed)  # type: ignore[index]
        assert source["url"].startswith(services.public.base + "/inbound/")
    assert (await send(outside, source, sent)).status_code == 200
    wrong = sender.send(sender.other, time.time(), sender.body)
    problem(await send(outside, source, wrong), 401, "inbound_refused")
    rejected = (await client.get(MESSAGES, params={"status": "rejected"})).json()["data"]
    assert rejected[0]["rejection"].split(":")[0] in ("signature_mismatch", "wrong_credentials")


async def test_the_owner_learns_why_and_the_sender_does_not(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client, "stripe")
    sender = SENDERS["stripe"]
    old = sender.send(sender.secret, time.time() - 1000, sender.body)
    wrong = sender.send(sender.other, time.time(), sender.body)
    nothing = InboundRequest("POST", "", {}, b"{}")
    answers = [await send(outside, source, sent) for sent in (old, wrong, nothing)]
    texts = {json.dumps({k: v for k, v in answer.json().items() if k != "request_id"}) for answer in answers}
    assert len(texts) == 1
    assert "stripe" not in texts.pop().lower()
    rejected = (await client.get(MESSAGES, params={"status": "rejected", "source_id": source["id"]})).json()["data"]
    assert [item["rejection"].split(":")[0] for item in rejected] == [
        "missing_header",
        "signature_mismatch",
        "timestamp_too_old",
    ]
    assert (await client.get("/v1/events", params={"types": "inbound.*"})).json()["data"] == []
    problem(await client.post(f"{MESSAGES}/{rejected[0]['id']}/replay"), 409, "conflict")


async def test_few_rejected_ones_are_kept(client: ApiClient, outside: httpx.AsyncClient, database: Database) -> None:
    source = await create(client)
    for number in range(15):
        answer = await outside.post(path_of(source), content=b"x" * 4096, headers={"X-Number": str(number)})
        problem(answer, 401, "inbound_refused")
    assert await database.worker.fetchval("select count(*) from inbound_messages") == 10
    assert (await send(outside, source, genuine("github"))).status_code == 200


async def test_slack_gets_its_challenge_back(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client, "slack")
    answer = await send(outside, source, genuine("slack", b'{"type":"url_verification","challenge":"c-1"}'))
    assert (answer.status_code, answer.text) == (200, "c-1")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await client.get(MESSAGES)).json()["data"] == []


async def test_unknown_and_disabled_urls_are_not_found(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client)
    for path in ("/inbound/x", "/inbound/" + "a" * 43, path_of(source)[:-1], "/inbound/%00", "/inbound/" + "é" * 43):
        assert (await outside.post(path, content=b"{}")).status_code == 404, path
    assert (await outside.get(path_of(source))).status_code == 405
    await client.patch(f"{SOURCES}/{source['id']}", json={"status": "disabled"})
    problem(await send(outside, source, genuine("github")), 404, "not_found")
    await client.patch(f"{SOURCES}/{source['id']}", json={"status": "enabled"})
    assert (await send(outside, source, genuine("github"))).status_code == 200
    await client.delete(f"{SOURCES}/{source['id']}")
    problem(await send(outside, source, genuine("github")), 404, "not_found")


async def test_a_source_that_is_deleted_at_this_moment(client: ApiClient, services: Services) -> None:
    source = await create(client)
    found = await services.receiver.find(str(source["url"]).rpartition("/")[2])
    assert found is not None
    await client.delete(f"{SOURCES}/{source['id']}")
    with pytest.raises(NotFound):
        await services.receiver.receive(found, genuine("github"), time.time())
    await services.receiver.keep_rejected(found, genuine("github"), Refused("malformed", "x"))


async def test_too_large_and_too_many(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client)
    problem(await send(outside, source, genuine("github", b"x" * 4097)), 413, "payload_too_large")
    for number in range(40):
        assert (await send(outside, source, genuine("github", b"%d" % number))).status_code == 200
    refused = await send(outside, source, genuine("github"))
    problem(refused, 429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    other = await create(client)
    assert (await send(outside, other, genuine("github"))).status_code == 200


async def test_bodies_that_are_no_text(client: ApiClient, outside: httpx.AsyncClient) -> None:
    source = await create(client)
    sent = genuine("github", b"\xff\x00\xfe")
    answer = await outside.post(
        path_of(source),
        content=sent.body,
        headers=[(name.encode(), value.encode()) for name, value in sent.headers.items() if name != "x-github-event"]
        + [(b"x-github-event", b"caf\xe9")],
    )
    found = (await client.get(f"{MESSAGES}/{answer.headers['penguinmails-message']}")).json()
    assert (found["body"], found["body_encoding"]) == ("/wD+", "base64")
    assert found["event"] == "café"


async def test_secrets_are_write_only_and_sealed(client: ApiClient, database: Database) -> None:
    made = await create(client, secret=None)
    secret = made.pop("secret")
    assert len(secret) >= 40
    shown = await client.get(f"{SOURCES}/{made['id']}")
    assert shown.json() == made
    given = await create(client, "slack")
    assert given["secret"] is None
    rows = await database.worker.fetch("select * from inbound_sources")
    text = " ".join(str(dict(row)) for row in rows)
    for hidden in (secret, SENDERS["slack"].secret, made["url"].rpartition("/")[2]):
        assert hidden not in text
    body = {"name": "n", "scheme": "github"}
    first = await client.post(SOURCES, json=body, idempotency_key="k")
    again = await client.post(SOURCES, json=body, idempotency_key="k")
    assert again.json() == first.json() | {"secret": None}
    stored = await database.worker.fetchval("select response from idempotency_keys")
    assert first.json()["secret"].encode() not in stored


async def test_rotation_lets_both_secrets_count_for_a_while(
    client: ApiClient, outside: httpx.AsyncClient, database: Database
) -> None:
    source = await create(client)
    sender = SENDERS["github"]
    path = f"{SOURCES}/{source['id']}/rotate_secret"

    def of(secret: str, body: bytes) -> InboundRequest:
        return sender.send(secret, time.time(), body)

    rotated = (await client.post(path, json={"secret": sender.other, "overlap_seconds": 3600})).json()
    assert [entry["expires_at"] is None for entry in rotated["secrets"]] == [True, False]
    assert (await send(outside, source, of(sender.secret, b"1"))).status_code == 200
    assert (await send(outside, source, of(sender.other, b"2"))).headers["penguinmails-message"]
    await database.worker.execute(
        "update inbound_sources set secrets = jsonb_set(secrets, '{1,expires_at}', '\"2020-01-01T00:00:00.000Z\"')"
    )
    problem(await send(outside, source, of(sender.secret, b"3")), 401, "inbound_refused")
    leaked = (await client.post(path, json={"overlap_seconds": 0})).json()
    assert len(leaked["secrets"]) == 1
    problem(await send(outside, source, of(sender.other, b"4")), 401, "inbound_refused")
    assert (await send(outside, source, of(leaked["secret"], b"5"))).status_code == 200
    for _ in range(8):
        await client.post(path, json={})
    assert len((await client.get(f"{SOURCES}/{source['id']}")).json()["secrets"]) == 5


async def test_faults_name_fields(client: ApiClient) -> None:
    def pointers(response: httpx.Response) -> set[str]:
        document = problem(response, 422, "validation_failed")
        return {error["pointer"] for error in document["errors"]}

    assert pointers(await client.post(SOURCES, json={"name": "", "scheme": "slack"})) == {"/name", "/secret"}
    assert pointers(await client.post(SOURCES, json={"name": "a", "scheme": "carrier_pigeon"})) == {"/scheme"}
    body = {"name": "a", "scheme": "github", "secret": "short"}
    assert pointers(await client.post(SOURCES, json=body)) == {"/secret"}
    body = {"name": "a", "scheme": "github", "settings": {"header": "X"}}  # type: ignore[dict-item]
    assert pointers(await client.post(SOURCES, json=body)) == {"/settings/header"}
    source = await create(client)
    assert pointers(await client.patch(f"{SOURCES}/{source['id']}", json={"settings": {"prefix": "x"}})) == {
        "/settings/prefix"
    }


async def test_sources_are_their_tenants_and_modes_own(
    client: ApiClient, outside: httpx.AsyncClient, tenant: Tenant, stranger: Tenant
) -> None:
    source = await create(client)
    message = (await send(outside, source, genuine("github"))).headers["penguinmails-message"]
    for key in (stranger.key, tenant.test):
        other = client.as_(key)
        assert (await other.get(SOURCES)).json()["data"] == []
        assert (await other.get(MESSAGES)).json()["data"] == []
        for path in (f"{SOURCES}/{source['id']}", f"{MESSAGES}/{message}"):
            problem(await other.get(path), 404, "not_found")
        problem(await other.get(MESSAGES, params={"source_id": source["id"]}), 404, "not_found")
        problem(await other.post(f"{MESSAGES}/{message}/replay"), 404, "not_found")


async def test_privileged_changes_are_audited(client: ApiClient) -> None:
    source = await create(client)
    path = f"{SOURCES}/{source['id']}"
    await client.patch(path, json={"name": "Other"})
    await client.post(f"{path}/rotate_secret", json={})
    await client.delete(path)
    log = (await client.get("/v1/audit_logs")).json()["data"]
    assert [item["action"] for item in log if item["action"].startswith("inbound")][::-1] == [
        "inbound_source.created",
        "inbound_source.updated",
        "inbound_source.secret_rotated",
        "inbound_source.deleted",
    ]


# Handlers


async def test_handlers_are_told_after_the_commit(
    client: ApiClient, outside: httpx.AsyncClient, worker: InboundWorker, handlers: tuple[Handler, Handler]
) -> None:
    source = await create(client)
    message_id = (await send(outside, source, genuine("github"))).headers["penguinmails-message"]
    assert (await client.get(f"{MESSAGES}/{message_id}")).json()["status"] == "pending"
    assert await worker.run_once() == 1
    for handler in handlers:
        (seen,) = handler.seen
        assert (seen.body, seen.event, seen.attempt) == (SENDERS["github"].body, "ping", 1)
    found = (await client.get(f"{MESSAGES}/{message_id}")).json()
    assert found["status"] == "processed"
    assert [(item["handler"], item["status"]) for item in found["handlers"]] == [
        ("crm_sync", "done"),
        ("notify", "done"),
    ]
    assert await worker.run_once() == 0


async def test_a_handler_that_fails_is_tried_again_alone(
    client: ApiClient, outside: httpx.AsyncClient, worker: InboundWorker, handlers: tuple[Handler, Handler]
) -> None:
    crm, notify = handlers
    crm.errors = [ConnectionError("no answer"), TimeoutError()]
    source = await create(client)
    message_id = (await send(outside, source, genuine("github"))).headers["penguinmails-message"]
    await worker.run_once()
    found = (await client.get(f"{MESSAGES}/{message_id}")).json()
    assert found["status"] == "pending"
    assert found["handlers"][0] == {
        "handler": "crm_sync",
        "status": "pending",
        "attempts": 1,
        "error": "ConnectionError: no answer",
    }
    await worker.run_once()
    await worker.run_once()
    assert [message.attempt for message in crm.seen] == [1, 2, 3]
    assert len({message.id for message in crm.seen}) == 1
    assert len(notify.seen) == 1
    assert (await client.get(f"{MESSAGES}/{message_id}")).json()["status"] == "processed"


async def test_a_dead_letter_is_told_and_can_be_replayed(
    client: ApiClient, outside: httpx.AsyncClient, worker: InboundWorker, handlers: tuple[Handler, Handler]
) -> None:
    crm, notify = handlers
    crm.errors = [Discard("the contact is gone")]
    source = await create(client)
    message_id = (await send(outside, source, genuine("github"))).headers["penguinmails-message"]
    await worker.run_once()
    failed = (await client.get(MESSAGES, params={"status": "failed"})).json()["data"]
    assert [item["id"] for item in failed] == [message_id]
    told = (await client.get("/v1/events", params={"types": "inbound.failed"})).json()["data"]
    assert [(item["sequence"], item["data"]["errors"]) for item in told] == [(2, {"crm_sync": "the contact is gone"})]
    replayed = await client.post(f"{MESSAGES}/{message_id}/replay")
    assert replayed.status_code == 202
    assert replayed.json()["status"] == "pending"
    await worker.run_once()
    assert (len(crm.seen), len(notify.seen)) == (2, 2)
    assert (await client.get(f"{MESSAGES}/{message_id}")).json()["status"] == "processed"


async def test_it_is_given_up_after_the_last_wait(
    client: ApiClient, outside: httpx.AsyncClient, worker: InboundWorker, handlers: tuple[Handler, Handler]
) -> None:
    handlers[0].errors = [ValueError(str(number)) for number in range(len(WAITS) + 1)]
    source = await create(client)
    message_id = (await send(outside, source, genuine("github"))).headers["penguinmails-message"]
    for _ in range(len(WAITS) + 1):
        assert await worker.run_once() == 1
    assert await worker.run_once() == 0
    found = (await client.get(f"{MESSAGES}/{message_id}")).json()
    assert (found["status"], found["handlers"][0]["attempts"]) == ("failed", len(WAITS) + 1)


async def test_a_worker_that_dies_leaves_the_message_to_others(
    client: ApiClient,
    outside: httpx.AsyncClient,
    worker: InboundWorker,
    handlers: tuple[Handler, Handler],
    database: Database,
) -> None:
    source = await create(client)
    message_id = (await send(outside, source, genuine("github"))).headers["penguinmails-message"]
    (claimed,) = await handling_sql.claim(database.worker, 10, InboundSettings().lease)
    assert await worker.run_once() == 0  # the lease holds
    await database.worker.execute("update inbound_messages set due_at = now() where due_at is not null")
    assert await worker.run_once() == 1
    assert (await client.get(f"{MESSAGES}/{message_id}")).json()["status"] == "processed"
    async with database.worker.acquire() as connection:  # the dead one wakes up: its claim is not its own any more
        late = await handling_sql.record(connection, claimed, {}, "failed", None, told=True)
    assert late is None
    assert (await client.get(f"{MESSAGES}/{message_id}")).json()["status"] == "processed"


async def test_the_running_worker_hears_the_bell(
    client: ApiClient, outside: httpx.AsyncClient, worker: InboundWorker, handlers: tuple[Handler, Handler]
) -> None:
    running = asyncio.create_task(worker.run())
    try:
        source = await create(client)
        for number in range(20):
            await send(outside, source, genuine("github", b"%d" % number))
        async with asyncio.timeout(20):
            while len(handlers[1].seen) < 20:
                await asyncio.sleep(0.01)
    finally:
        await worker.stop()
        await running


async def test_messages_are_forgotten_in_time(
    client: ApiClient, outside: httpx.AsyncClient, database: Database
) -> None:
    source = await create(client)
    for number in range(3):
        await send(outside, source, genuine("github", b"%d" % number))
    await database.worker.execute(
        "update inbound_messages set received_at = now() - interval '31 days', "
        "due_at = case when body = '2' then now() end where body <> '0'"
    )
    await Maintenance(database).run_once()
    kept = await database.worker.fetch("select body from inbound_messages order by body")
    assert [row["body"] for row in kept] == [b"0", b"2"]


async def test_a_server_without_keys_says_so(services: Services, client: ApiClient) -> None:
    services.box = None
    problem(await client.post(SOURCES, json={"name": "a", "scheme": "github"}), 503, "unavailable")
    services.box = SecretBox([b"k" * 32])
