"""POST /v1/emails and /v1/emails/batch, through the whole gateway."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit.db import Database
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain, make_workspace

EMAIL: dict[str, Any] = {
    "from": "Penguin <hello@acme.test>",
    "to": ["Ada <ada@example.com>"],
    "subject": "Welcome aboard",
    "text": "Hello Ada!",
}


@pytest.fixture(autouse=True)
async def domain(database: Database, tenant: Tenant) -> None:
    await make_domain(database, tenant, "acme.test")


async def count(database: Database, table: str = "email_messages") -> int:
    value: int = await database.worker.fetchval(f"select count(*) from {table}")
    return value


async def test_a_message_is_accepted_and_can_be_read(client: ApiClient) -> None:
    sent = await client.post("/v1/emails", json={**EMAIL, "tags": ["a"], "metadata": {"k": "v"}, "html": "<p>Hi</p>"})
    assert sent.status_code == 202
    body = sent.json()
    assert body["status"] == "queued"
    found = (await client.get(f"/v1/emails/{body['id']}")).json()
    assert found["created_at"] == body["created_at"]
    assert found["recipients"][0]["address"] == "ada@example.com"
    content = (await client.get(f"/v1/emails/{body['id']}/content")).json()
    assert (content["text"], content["html"]) == ("Hello Ada!", "<p>Hi</p>")
    events = (await client.get(f"/v1/emails/{body['id']}/events")).json()["data"]
    assert [event["type"] for event in events] == ["email.queued"]


async def test_everything_a_message_can_hold(client: ApiClient) -> None:
    sent = await client.post(
        "/v1/emails",
        json={
            "from": "Größe & Söhne <hello@acme.test>",
            "to": "ada@exämple.com",
            "cc": ["用户@例子.广告"],
            "bcc": ["eve@example.com"],
            "reply_to": ["Support <help@acme.test>"],
            "subject": "Ünïcode 🐧",
            "html": "<img src='cid:logo'>",
            "headers": {"X-Campaign": "spring"},
            "attachments": [
                {"filename": "rechnung.pdf", "content": base64.b64encode(b"%PDF").decode()},
                {"filename": "logo.png", "content": base64.b64encode(b"PNG").decode(), "content_id": "logo"},
            ],
            "tags": ["spring"],
            "metadata": {"user": "1"},
            "class": "campaign",
            "scheduled_at": None,
        },
    )
    assert sent.status_code == 202, sent.text
    found = (await client.get(f"/v1/emails/{sent.json()['id']}")).json()
    assert [r["address"] for r in found["recipients"]] == [
        "ada@xn--exmple-cua.com",
        "用户@xn--fsqu00a.xn--4rr70v",
        "eve@example.com",
    ]
    assert found["class"] == "campaign"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"from": "nobody"}, "/from"),
        ({"to": []}, "/to"),
        ({"to": ["x"]}, "/to/0"),
        ({"to": [1]}, "/to/0"),
        ({"to": {"address": "a@example.com"}}, "/to"),
        ({"subject": None}, "/subject"),
        ({"subject": "a\r\nBcc: eve@example.com"}, "/subject"),
        ({"text": None}, "/text"),
        ({"text": 5}, "/text"),
        ({"surprise": 1}, "/surprise"),
        ({"headers": {"X-A": "a\nb"}}, "/headers/X-A"),
        ({"headers": {"X-A": 1}}, "/headers/X-A"),
        ({"class": "urgent"}, "/class"),
        ({"scheduled_at": "tomorrow"}, "/scheduled_at"),
        ({"scheduled_at": 1700000000}, "/scheduled_at"),
        ({"attachments": [{"filename": "a"}]}, "/attachments/0/content"),
        ({"tags": "a"}, "/tags"),
    ],
)
async def test_a_bad_field_is_named(
    client: ApiClient, database: Database, change: dict[str, Any], pointer: str
) -> None:
    document = problem(await client.post("/v1/emails", json={**EMAIL, **change}), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [pointer]
    assert document["errors"][0]["detail"].isprintable()
    assert await count(database) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"from": NaN}', b'{"a":1}trailing'])
async def test_garbage_is_a_problem(client: ApiClient, body: bytes) -> None:
    response = await client.post("/v1/emails", content=body)
    assert response.status_code in (400, 422)
    assert response.json()["detail"]


async def test_unknown_parameters_are_refused(client: ApiClient) -> None:
    document = problem(await client.post("/v1/emails?dryrun=1", json=EMAIL), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == "dryrun"
    document = problem(
        await client.post("/v1/emails/batch?partial=yes", json={"emails": [EMAIL]}), 422, "validation_failed"
    )
    assert document["errors"][0]["pointer"] == "partial"


async def test_a_message_over_the_limit_is_413(client: ApiClient, services: Services, database: Database) -> None:
    limit = services.settings.api.max_message_bytes
    large = base64.b64encode(b"x" * (limit + 1)).decode()
    response = await client.post("/v1/emails", json={**EMAIL, "attachments": [{"filename": "a.bin", "content": large}]})
    assert str(limit) in problem(response, 413, "payload_too_large")["detail"]
    problem(await client.post("/v1/emails", content=b" " * (limit * 2)), 413, "payload_too_large")
    assert await count(database) == 0
    fits = base64.b64encode(b"x" * (limit - 10)).decode()
    response = await client.post("/v1/emails", json={**EMAIL, "attachments": [{"filename": "a.bin", "content": fits}]})
    assert response.status_code == 202


async def test_the_sender_must_own_the_domain(
    client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant
) -> None:
    await make_domain(database, tenant, "pending.test", status="pending")
    for address in ("a@pending.test", "a@unknown.test"):
        document = problem(await client.post("/v1/emails", json={**EMAIL, "from": address}), 403, "domain_not_verified")
        assert document["errors"][0]["pointer"] == "/from"
    response = await client.as_(stranger.key).post("/v1/emails", json=EMAIL)
    problem(response, 403, "domain_not_verified")
    assert (await client.as_(stranger.test).post("/v1/emails", json=EMAIL)).status_code == 202, (
        "test mode sends nothing"
    )


async def test_a_workspace_key_sends_from_its_own_domains(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    workspace = await make_workspace(database, tenant.id, "brand")
    await make_domain(database, tenant, "brand.test", workspace_id=workspace)
    _, key = await create_key(
        database, tenant.id, mode="live", name="brand", scopes=[Scope.EMAILS_WRITE], workspace_id=workspace
    )
    bound = client.as_(key)
    assert (await bound.post("/v1/emails", json={**EMAIL, "from": "a@brand.test"})).status_code == 202
    problem(await bound.post("/v1/emails", json=EMAIL), 403, "domain_not_verified")
    assert await database.worker.fetchval("select workspace_id from email_messages") == workspace


async def test_without_the_scope_nothing_is_sent(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, key = await create_key(database, tenant.id, mode="live", name="reader", scopes=[Scope.EMAILS_READ])
    document = problem(await client.as_(key).post("/v1/emails", json=EMAIL, idempotency_key="k"), 403, "missing_scope")
    assert document["required_scope"] == "emails:write"
    assert await count(database) == 0
    assert await count(database, "idempotency_keys") == 0


# Idempotency


async def test_the_same_key_gets_the_same_answer_and_one_mail(client: ApiClient, database: Database) -> None:
    first = await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    again = await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await count(database) == 1


async def test_the_key_with_another_body_is_refused(client: ApiClient, database: Database) -> None:
    await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    problem(
        await client.post("/v1/emails", json={**EMAIL, "subject": "x"}, idempotency_key="k"),
        422,
        "idempotency_key_reused",
    )
    assert await count(database) == 1


async def test_the_key_on_another_path_is_refused(client: ApiClient, database: Database) -> None:
    await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    response = await client.post("/v1/emails/batch", json={"emails": [EMAIL]}, idempotency_key="k")
    problem(response, 422, "idempotency_key_reused")
    email_id = (await client.get("/v1/emails")).json()["data"][0]["id"]
    problem(await client.post(f"/v1/emails/{email_id}/cancel", idempotency_key="k"), 422, "idempotency_key_reused")
    assert await count(database) == 1


async def test_another_caller_has_keys_of_its_own(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, other = await create_key(database, tenant.id, mode="live", name="other", scopes=[Scope.EMAILS_WRITE])
    first = await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    second = await client.as_(other).post("/v1/emails", json=EMAIL, idempotency_key="k")
    assert first.json()["id"] != second.json()["id"]
    assert "idempotency-replayed" not in second.headers
    assert await count(database) == 2


async def test_a_weaker_key_gets_no_replay(client: ApiClient, database: Database, tenant: Tenant) -> None:
    await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    await database.worker.execute("update api_keys set scopes = '{emails:read}' where id = $1", tenant.live_key.id)
    client.gateway.services.authenticator.forget()
    problem(await client.post("/v1/emails", json=EMAIL, idempotency_key="k"), 403, "missing_scope")


async def test_a_refused_request_leaves_the_key_free(client: ApiClient) -> None:
    problem(await client.post("/v1/emails", json={**EMAIL, "to": []}, idempotency_key="k"), 422, "validation_failed")
    assert (await client.post("/v1/emails", json=EMAIL, idempotency_key="k")).status_code == 202


async def test_two_at_once_are_one_message(client: ApiClient, database: Database) -> None:
    answers = await asyncio.gather(*[client.post("/v1/emails", json=EMAIL, idempotency_key="k") for _ in range(8)])
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(202) >= 1
    assert set(statuses) <= {202, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert problem(answer, 409, "idempotency_key_in_use")
            assert answer.headers["retry-after"] == "1"
    assert await count(database) == 1


async def test_a_client_that_leaves_finds_its_answer_later(
    client: ApiClient, services: Services, database: Database
) -> None:
    task = asyncio.create_task(client.post("/v1/emails", json=EMAIL, idempotency_key="k"))
    assert services.acceptor is not None
    while not services.acceptor.busy:
        assert not task.done()
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await services.acceptor.drain()
    again = await client.post("/v1/emails", json=EMAIL, idempotency_key="k")
    assert again.status_code == 202
    assert again.headers["idempotency-replayed"] == "true"
    assert await count(database) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü"])
async def test_unusable_keys_are_refused(client: ApiClient, key: str) -> None:
    response = await client.post("/v1/emails", json=EMAIL, headers={"Idempotency-Key": key.encode()})
    problem(response, 400, "invalid_idempotency_key")


# Batches


async def test_a_batch_is_accepted_in_order(client: ApiClient, database: Database) -> None:
    emails = [{**EMAIL, "subject": f"{i}", "text": f"{i}"} for i in range(1000)]
    response = await client.post("/v1/emails/batch", json={"emails": emails}, idempotency_key="k")
    assert response.status_code == 202
    data = response.json()["data"]
    assert len(data) == 1000
    assert await count(database) == 1000
    first = (await client.get(f"/v1/emails/{data[0]['id']}")).json()
    assert first["subject"] == "0"
    again = await client.post("/v1/emails/batch", json={"emails": emails}, idempotency_key="k")
    assert again.content == response.content
    assert await count(database) == 1000


async def test_one_bad_message_refuses_the_batch(client: ApiClient, database: Database) -> None:
    emails = [EMAIL, {**EMAIL, "to": ["x"]}, {**EMAIL, "subject": "\n"}]
    document = problem(await client.post("/v1/emails/batch", json={"emails": emails}), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == ["/emails/1/to/0", "/emails/2/subject"]
    assert await count(database) == 0


async def test_partial_gives_each_message_its_own_result(client: ApiClient, database: Database) -> None:
    emails = [
        EMAIL,
        {**EMAIL, "to": ["x"]},
        {**EMAIL, "surprise": 1},
        "not even an object",
        {**EMAIL, "from": "a@unknown.test"},
        {**EMAIL, "subject": "last"},
    ]
    response = await client.post("/v1/emails/batch?partial=true", json={"emails": emails}, idempotency_key="k")
    assert response.status_code == 207
    body = response.json()
    assert (body["accepted"], body["failed"]) == (2, 4)
    assert [item["status"] for item in body["data"]] == [202, 422, 422, 422, 403, 202]
    assert [item["index"] for item in body["data"]] == list(range(6))
    assert body["data"][1]["problem"]["errors"][0]["pointer"] == "/emails/1/to/0"
    assert body["data"][2]["problem"]["errors"][0]["pointer"] == "/emails/2/surprise"
    assert await count(database) == 2
    again = await client.post("/v1/emails/batch?partial=true", json={"emails": emails}, idempotency_key="k")
    assert again.content == response.content
    assert await count(database) == 2


@pytest.mark.parametrize("query", ["", "?partial=true"])
@pytest.mark.parametrize(
    "body", [{}, {"emails": []}, {"emails": "x"}, {"emails": [EMAIL], "more": 1}, {"emails": [EMAIL] * 1001}]
)
async def test_a_batch_of_the_wrong_shape_is_refused(client: ApiClient, body: dict[str, Any], query: str) -> None:
    document = problem(await client.post(f"/v1/emails/batch{query}", json=body), 422, "validation_failed")
    assert document["errors"]


async def test_the_database_away_is_503_and_nothing_is_half_done(services: Services, tenant: Tenant) -> None:
    async with ApiClient(create_gateway(services), tenant.test) as client:
        assert services.acceptor is not None
        await services.database.ingest.close()
        problem(await client.post("/v1/emails", json=EMAIL, idempotency_key="k"), 503, "unavailable")
