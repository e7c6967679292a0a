"""`/v2/emails`: another shape over the same services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penguinmails_api.app import api
from penguinmails_api.openapi import render
from penguinmails_api.v2 import hot_routes
from penguinmails_core.config import ApiSettings
from penguinmails_core.kit.db import Database
from tests.api.conventions.test_dry_run import snapshot
from tests.contract.completeness import faults
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain

PATH = "/v2/emails"
BODY: dict[str, Any] = {
    "from": {"address": "hello@acme.test", "name": 'The "Penguin", Inc.'},
    "recipients": [
        {"address": "ada@example.com", "name": "Ada <x@y.example>"},
        {"address": "bob@example.com", "kind": "bcc"},
        {"address": "cy@example.com", "kind": "cc"},
    ],
    "reply_to": [{"address": "desk@acme.test", "name": "Desk"}],
    "subject": "Hello",
    "content": {"text": "t", "html": "<p>h</p>"},
    "tags": ["a"],
    "metadata": {"k": "v"},
}


@pytest.fixture(autouse=True)
async def domain(database: Database, tenant: Tenant) -> None:
    await make_domain(database, tenant, "acme.test")


async def send(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={**BODY, **members})
    assert response.status_code == 202, response.text
    made: dict[str, Any] = response.json()
    return made


def pointers(document: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in document["errors"]]


async def test_a_message_is_sent_and_shown_with_recipients_as_objects(client: ApiClient) -> None:
    made = await send(client)
    assert (made["status"], made["class"], made["send_at"]) == ("queued", "transactional", None)
    email = (await client.get(f"{PATH}/{made['id']}")).json()
    assert email["from"] == BODY["from"]
    assert email["reply_to"] == BODY["reply_to"]
    shown = [(item["address"], item["name"], item["kind"]) for item in email["recipients"]]
    assert sorted(shown) == [
        ("ada@example.com", "Ada <x@y.example>", "to"),
        ("bob@example.com", None, "bcc"),
        ("cy@example.com", None, "cc"),
    ]
    assert {item["delivery"]["status"] for item in email["recipients"]} == {"queued"}
    assert (await client.get(PATH)).json()["data"] == [email]


async def test_both_versions_see_the_same_message(client: ApiClient) -> None:
    second = await send(client, send_at="2026-12-24T18:00:00Z")
    old = (await client.get(f"/v1/emails/{second['id']}")).json()
    new = (await client.get(f"{PATH}/{second['id']}")).json()
    assert old["scheduled_at"] == new["send_at"] == "2026-12-24T18:00:00.000Z"
    assert [item["id"] for item in old["recipients"]] == [item["id"] for item in new["recipients"]]
    content = (await client.get(f"/v1/emails/{second['id']}/content")).json()
    assert (content["text"], content["html"]) == ("t", "<p>h</p>")
    body = {"from": "hello@acme.test", "to": "dee@example.com", "subject": "s", "text": "t"}
    first = (await client.post("/v1/emails", json=body)).json()
    page = (await client.get(PATH, params={"limit": 1})).json()
    assert [item["id"] for item in page["data"]] == [first["id"]]
    page = (await client.get("/v1/emails", params={"limit": 1, "after": page["next_cursor"]})).json()
    assert [item["id"] for item in page["data"]] == [second["id"]]


async def test_the_list_is_filtered(client: ApiClient) -> None:
    made = await send(client)
    for query, found in (
        ({"recipient": "bob@example.com"}, 1),
        ({"recipient": "eve@example.com"}, 0),
        ({"from": "hello@acme.test", "tag": "a", "status": "queued"}, 1),
        ({"created_before": "2020-01-01T00:00:00Z"}, 0),
    ):
        assert [item["id"] for item in (await client.get(PATH, params=query)).json()["data"]] == [made["id"]] * found
    problem(await client.get(PATH, params={"to": "bob@example.com"}), 422, "validation_failed")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"recipients": []}, ["/recipients"]),
        ({"recipients": [{"address": "a@b.example", "kind": "cc"}]}, ["/recipients"]),
        (
            {"recipients": [{"address": "a@b.example", "kind": "cc"}, {"address": "nobody"}, {"address": "x"}]},
            ["/recipients/1", "/recipients/2"],
        ),
        ({"recipients": [{"address": "A <a@b.example>"}]}, ["/recipients/0/address"]),
        ({"recipients": [{"address": "a@b.example", "kind": "from"}]}, ["/recipients/0/kind"]),
        ({"recipients": [{"address": "a@b.example"}, {"address": "A@b.example", "kind": "cc"}]}, ["/recipients"]),
        ({"recipients": [{"address": f"a{n}@b.example"} for n in range(51)]}, ["/recipients"]),
        ({"from": {"address": "A <a@acme.test>"}}, ["/from/address"]),
        ({"from": {"address": "nobody"}}, ["/from"]),
        ({"from": "hello@acme.test"}, ["/from"]),
        ({"reply_to": [{"address": "a@b.example"}, {"address": "x"}]}, ["/reply_to/1"]),
        ({"content": {}}, ["/content/text"]),
        ({"content": {"text": "a\0b"}}, ["/content/text"]),
        ({"send_at": "2099-01-01T00:00:00Z"}, ["/send_at"]),
        ({"scheduled_at": None}, ["/scheduled_at"]),
        ({"to": "a@b.example"}, ["/to"]),
    ],
)
async def test_faults_point_into_what_was_sent(client: ApiClient, members: dict[str, Any], expected: list[str]) -> None:
    document = problem(await client.post(PATH, json={**BODY, **members}), 422, "validation_failed")
    assert pointers(document) == expected
    for old in ("`scheduled_at`", "`to`, `cc`"):
        assert old not in document["detail"] or "scheduled_at" in members


async def test_a_foreign_domain_is_refused(client: ApiClient) -> None:
    body = {**BODY, "from": {"address": "a@other.example"}}
    assert pointers(problem(await client.post(PATH, json=body), 403, "domain_not_verified")) == ["/from"]


@pytest.mark.parametrize("address", ["a@b.example>, <c@d.example", "a@b.example\r\nBcc: c@d.example", '"'])
async def test_a_name_is_never_taken_for_an_address(client: ApiClient, address: str) -> None:
    body = {**BODY, "recipients": [{"address": address, "name": 'x" <evil@example.com>, "'}]}
    problem(await client.post(PATH, json=body), 422, "validation_failed")
    quoted = {**BODY, "recipients": [{"address": "a@b.example", "name": 'x\\" <evil@example.com>, "'}]}
    made = (await client.post(PATH, json=quoted)).json()
    [shown] = (await client.get(f"{PATH}/{made['id']}")).json()["recipients"]
    assert (shown["address"], shown["name"]) == ("a@b.example", 'x\\" <evil@example.com>, "')


async def test_a_key_does_it_once_and_is_of_one_version(client: ApiClient) -> None:
    first = await client.post(PATH, json=BODY, idempotency_key="one")
    again = await client.post(PATH, json=BODY, idempotency_key="one")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    old = {"from": "hello@acme.test", "to": "dee@example.com", "subject": "s", "text": "t"}
    problem(await client.post("/v1/emails", json=old, idempotency_key="one"), 422, "idempotency_key_reused")


async def accepted(client: ApiClient) -> int:
    return len((await client.get(PATH, params={"limit": 100})).json()["data"])


async def test_a_batch_is_accepted_in_order_and_once(client: ApiClient) -> None:
    emails = [{**BODY, "subject": f"No. {number}"} for number in range(3)]
    emails[1]["send_at"] = "2026-12-24T18:00:00Z"
    first = await client.post(f"{PATH}/batch", json={"emails": emails}, idempotency_key="k")
    assert first.status_code == 202, first.text
    data = first.json()["data"]
    assert [item["status"] for item in data] == ["queued", "scheduled", "queued"]
    assert data[1]["send_at"] == "2026-12-24T18:00:00.000Z"
    subjects = [(await client.get(f"{PATH}/{item['id']}")).json()["subject"] for item in data]
    assert subjects == ["No. 0", "No. 1", "No. 2"]
    again = await client.post(f"{PATH}/batch", json={"emails": emails}, idempotency_key="k")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert await accepted(client) == 3


BAD: list[dict[str, Any]] = [
    BODY,
    {**BODY, "recipients": [{"address": "a@b.example", "kind": "cc"}, {"address": "nobody"}]},
    {**BODY, "from": {"address": "A <a@acme.test>"}},
    BODY,
]


async def test_one_bad_message_refuses_the_batch(client: ApiClient) -> None:
    document = problem(await client.post(f"{PATH}/batch", json={"emails": BAD}), 422, "validation_failed")
    assert pointers(document) == ["/emails/1/recipients/1", "/emails/2/from/address"]
    shaped = {"emails": [BODY, {**BODY, "to": "x"}]}
    document = problem(await client.post(f"{PATH}/batch", json=shaped), 422, "validation_failed")
    assert pointers(document) == ["/emails/1/to"]
    misshapen: list[dict[str, Any]] = [{}, {"emails": []}, {"emails": [BODY] * 1001}, {"emails": [BODY], "x": 1}]
    for wrong in misshapen:
        problem(await client.post(f"{PATH}/batch", json=wrong), 422, "validation_failed")
    assert await accepted(client) == 0


async def test_with_partial_each_message_is_judged_on_its_own(client: ApiClient) -> None:
    emails = [*BAD, {**BODY, "to": "x"}]
    response = await client.post(f"{PATH}/batch?partial=true", json={"emails": emails}, idempotency_key="k")
    assert response.status_code == 207, response.text
    found = response.json()
    assert [item["status"] for item in found["data"]] == [202, 422, 422, 202, 422]
    assert (found["accepted"], found["failed"]) == (2, 3)
    refused = [pointers(item["problem"]) for item in found["data"] if item["problem"]]
    assert refused == [["/emails/1/recipients/1"], ["/emails/2/from/address"], ["/emails/4/to"]]
    assert found["data"][0]["email"]["send_at"] is None
    again = await client.post(f"{PATH}/batch?partial=true", json={"emails": emails}, idempotency_key="k")
    assert again.headers["idempotency-replayed"] == "true"
    assert await accepted(client) == 2


async def test_a_batch_is_rehearsed(client: ApiClient, database: Database) -> None:
    before = await snapshot(database)
    for query, status in (("dry_run=true", 202), ("dry_run=true&partial=true", 207)):
        dry = await client.post(f"{PATH}/batch?{query}", json={"emails": [BODY, BODY]})
        assert (dry.status_code, dry.headers["dry-run"]) == (status, "true")
    assert await snapshot(database) == before


async def test_a_message_is_cancelled(client: ApiClient) -> None:
    made = await send(client)
    cancelled = (await client.post(f"{PATH}/{made['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert {item["delivery"]["status"] for item in cancelled["recipients"]} == {"cancelled"}


async def test_conventions_hold(client: ApiClient, database: Database) -> None:
    made = await send(client)
    path = f"{PATH}/{made['id']}"
    before = await snapshot(database)
    for dry in (
        await client.post(f"{PATH}?dry_run=true", json=BODY),
        await client.post(f"{path}/cancel?dry_run=true"),
    ):
        assert dry.status_code < 300
        assert dry.headers["dry-run"] == "true"
    assert await snapshot(database) == before
    problem(await client.post(f"{PATH}?fields=id", json=BODY), 422, "validation_failed")
    etag = (await client.get(path)).headers["etag"]
    assert (await client.get(path, headers={"If-None-Match": etag})).status_code == 304
    assert (await client.get(f"{path}?fields=subject")).json() == {"id": made["id"], "subject": "Hello"}


async def test_nobody_reaches_another_organizations_message(client: ApiClient, stranger: Tenant) -> None:
    made = await send(client)
    for caller in (client.as_(stranger.key), client.as_(stranger.test)):
        assert (await caller.get(PATH)).json()["data"] == []
        problem(await caller.get(f"{PATH}/{made['id']}"), 404, "not_found")
        problem(await caller.post(f"{PATH}/{made['id']}/cancel"), 404, "not_found")
    problem(await client.as_(None).post(PATH, json=BODY), 401, "unauthenticated")


def test_the_document_of_version_2_is_complete_and_checked_in() -> None:
    document = api().openapi_v2()
    assert faults(document) == []
    kept = Path(__file__).parents[3] / "openapi" / "v2.json"
    assert kept.read_text(encoding="utf-8") == render(document), "run `make sdks` and read the difference"
    assert all(path.startswith("/v2/") for path in document["paths"])
    assert not any(path.startswith("/v2/") for path in api().openapi()["paths"])
    assert {path for _, path in hot_routes(ApiSettings())} <= document["paths"].keys()


async def test_the_document_is_served(client: ApiClient) -> None:
    assert (await client.as_(None).get("/openapi/v2.json")).json() == api().openapi_v2()
