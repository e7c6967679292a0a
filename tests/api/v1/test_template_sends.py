"""Messages that take what they say from a template, through the gateway."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain

PATH = "/v1/templates"
EMAIL = {"from": "a@acme.test", "to": "Ada <Ada@example.com>"}


@pytest.fixture(autouse=True)
async def domain(database: Database, tenant: Tenant) -> None:
    await make_domain(database, tenant, "acme.test")


@pytest.fixture
async def template(client: ApiClient) -> dict[str, Any]:
    body = {
        "name": "Welcome",
        "alias": "welcome",
        "subject": "Hi {{ name }}",
        "html": '<p>Hello {{ name }} <a href="{{ unsubscribe_url }}">bye</a></p>',
        "publish": True,
    }
    response = await client.post(PATH, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def faults(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(error["pointer"], error["code"]) for error in document["errors"]}


async def content(client: ApiClient, answer: httpx.Response) -> tuple[str, str, str]:
    assert answer.status_code == 202, answer.text
    path = f"/v1/emails/{answer.json()['id']}"
    body = (await client.get(f"{path}/content")).json()
    return (await client.get(path)).json()["subject"], body["html"], body["text"]


async def send(client: ApiClient, choice: dict[str, Any], /, key: str | None = None, **members: Any) -> httpx.Response:
    return await client.post("/v1/emails", json=EMAIL | {"template": choice} | members, idempotency_key=key)


@pytest.mark.parametrize("by", ["id", "alias"])
async def test_a_message_says_what_the_template_says(client: ApiClient, template: dict[str, Any], by: str) -> None:
    answer = await send(client, {by: template[by], "variables": {"name": "A & B"}})
    assert await content(client, answer) == (
        "Hi A & B",
        '<p>Hello A &amp; B <a href="{{unsubscribe_url}}">bye</a></p>',
        "Hello A & B bye [1]\n\n[1] {{unsubscribe_url}}\n",
    )


async def test_nothing_is_stored_with_a_hole_in_it(
    client: ApiClient, template: dict[str, Any], database: Database
) -> None:
    refused = problem(await send(client, {"alias": "welcome"}), 422, "validation_failed")
    assert faults(refused) == {("/template/variables/name", "missing_variable")}
    assert await database.worker.fetchval("select count(*) from email_messages") == 0
    assert await database.worker.fetchval("select count(*) from content.blobs") == 0


@pytest.mark.parametrize(
    ("choice", "members", "expected"),
    [
        ({}, {}, {("/template", "invalid")}),
        ({"id": "tpl_01kaz6yzwhe1xrqm3c8s4q3m8r", "alias": "welcome"}, {}, {("/template", "invalid")}),
        ({"id": "tpl_01kaz6yzwhe1xrqm3c8s4q3m8r"}, {}, {("/template/id", "unknown_template")}),
        ({"id": "nonsense"}, {}, {("/template/id", "unknown_template")}),
        ({"alias": "\0"}, {}, {("/template/alias", "unknown_template")}),
        ({"alias": "welcome", "version": 2}, {}, {("/template/version", "unknown_version")}),
        ({"alias": "welcome", "variables": {"name": "\0"}}, {}, {("/template/variables", "invalid")}),
        ({"alias": "welcome", "variables": {"name": "x" * 1000}}, {}, {("/template/variables", "too_long")}),
        ({"alias": "welcome"}, {"subject": "s", "html": "h"}, {("/subject", "conflict"), ("/html", "conflict")}),
    ],
)
async def test_what_cannot_be_filled_in(
    client: ApiClient,
    template: dict[str, Any],
    choice: dict[str, Any],
    members: dict[str, Any],
    expected: set[tuple[str, str]],
) -> None:
    assert faults(problem(await send(client, choice, **members), 422, "validation_failed")) == expected


async def test_a_message_without_a_template_needs_a_subject(client: ApiClient) -> None:
    for members in ({}, {"subject": None}):
        answer = await client.post("/v1/emails", json=EMAIL | {"text": "t"} | members)
        assert faults(problem(answer, 422, "validation_failed")) == {("/subject", "required")}


async def test_drafts_are_not_sent(client: ApiClient, template: dict[str, Any]) -> None:
    draft = {"subject": "New {{ name }}", "text": "t"}
    assert (await client.post(f"{PATH}/{template['id']}/versions", json=draft)).status_code == 201
    given = {"alias": "welcome", "variables": {"name": "n"}}
    refused = problem(await send(client, given | {"version": 2}), 422, "validation_failed")
    assert faults(refused) == {("/template/version", "not_published")}
    assert (await content(client, await send(client, given)))[0] == "Hi n"
    await client.post(f"{PATH}/{template['id']}/publish")
    answer = await send(client, given)
    assert (await client.get(f"/v1/emails/{answer.json()['id']}")).json()["subject"] == "New n"
    assert (await content(client, await send(client, given | {"version": 1})))[0] == "Hi n"


async def test_a_template_that_was_never_published(client: ApiClient) -> None:
    made = (await client.post(PATH, json={"name": "n", "subject": "s", "text": "t"})).json()
    refused = problem(await send(client, {"id": made["id"]}), 422, "validation_failed")
    assert faults(refused) == {("/template", "not_published")}


async def test_a_repeat_gets_the_first_answer_even_when_the_template_is_gone(
    client: ApiClient, template: dict[str, Any]
) -> None:
    choice = {"id": template["id"], "variables": {"name": "n"}}
    first = await send(client, choice, "key")
    assert (await client.delete(f"{PATH}/{template['id']}")).status_code == 204
    again = await send(client, choice, "key")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    problem(await send(client, choice, "other"), 422, "validation_failed")


async def test_a_rehearsal_fills_in_too(client: ApiClient, template: dict[str, Any], database: Database) -> None:
    body = EMAIL | {"template": {"alias": "welcome", "variables": {"name": "n"}}}
    assert (await client.post("/v1/emails?dry_run=true", json=body)).status_code == 202
    refused = await client.post("/v1/emails?dry_run=true", json=EMAIL | {"template": {"alias": "welcome"}})
    assert faults(problem(refused, 422, "validation_failed")) == {("/template/variables/name", "missing_variable")}
    assert await database.worker.fetchval("select count(*) from email_messages") == 0


async def test_each_message_of_a_batch_is_filled_in(client: ApiClient, template: dict[str, Any]) -> None:
    def message(name: str | None) -> dict[str, Any]:
        return EMAIL | {"template": {"alias": "welcome", "variables": {"name": name}}}

    plain = EMAIL | {"subject": "plain", "text": "t"}
    answer = await client.post("/v1/emails/batch", json={"emails": [message("one"), plain, message("two")]})
    assert answer.status_code == 202, answer.text
    subjects = [(await client.get(f"/v1/emails/{item['id']}")).json()["subject"] for item in answer.json()["data"]]
    assert subjects == ["Hi one", "plain", "Hi two"]
    bad = {"emails": [message("one"), message(None)]}
    refused = problem(await client.post("/v1/emails/batch", json=bad), 422, "validation_failed")
    assert faults(refused) == {("/emails/1/template/variables/name", "missing_variable")}
    partial = (await client.post("/v1/emails/batch?partial=true", json=bad)).json()
    assert [item["status"] for item in partial["data"]] == [202, 422]


async def test_spintax_goes_by_the_recipient_not_by_the_spelling_of_the_address(client: ApiClient) -> None:
    options = "|".join(str(number) for number in range(100))
    body = {"name": "n", "alias": "spun", "subject": f"{{{options}}}", "text": "t", "spintax": True, "publish": True}
    made = (await client.post(PATH, json=body)).json()
    subjects = []
    for to in ("Ada <Ada@Example.com>", "ada@example.com", ["ada@example.com", "bob@example.com"]):
        answer = await client.post("/v1/emails", json={"from": "a@acme.test", "to": to, "template": {"alias": "spun"}})
        subjects.append((await client.get(f"/v1/emails/{answer.json()['id']}")).json()["subject"])
    shown = (await client.post(f"{PATH}/{made['id']}/preview", json={"seed": "ada@example.com"})).json()
    assert subjects == [shown["subject"]] * 3


async def test_nobody_sends_with_the_templates_of_others(
    client: ApiClient, template: dict[str, Any], stranger: Tenant, database: Database
) -> None:
    await make_domain(database, stranger, "other.test")
    other = client.as_(stranger.key)
    body = {
        "from": "a@other.test",
        "to": "b@example.com",
        "template": {"id": template["id"], "variables": {"name": "n"}},
    }
    refused = problem(await other.post("/v1/emails", json=body), 422, "validation_failed")
    assert faults(refused) == {("/template/id", "unknown_template")}


async def test_send_a_test(client: ApiClient) -> None:
    body = {"name": "n", "subject": "Hi {{ name }}", "html": "<p>{{ name }}</p>", "sample_variables": {"name": "Sam"}}
    made = (await client.post(PATH, json=body)).json()
    path = f"{PATH}/{made['id']}/send_test"
    first = await client.post(path, json=EMAIL, idempotency_key="k")
    assert await content(client, first) == ("[Test] Hi Sam", "<p>Sam</p>", "Sam\n")
    assert (await client.post(path, json=EMAIL, idempotency_key="k")).json() == first.json()
    assert [email["tags"] for email in (await client.get("/v1/emails")).json()["data"]] == [["template_test"]]
    refused = problem(await client.post(path, json=EMAIL | {"variables": {}}), 422, "validation_failed")
    assert faults(refused) == {("/variables/name", "missing_variable")}
    problem(await client.post(path, json=EMAIL | {"from": "a@unknown.test"}), 403, "domain_not_verified")


async def test_the_request_of_the_guide_is_taken(client: ApiClient) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "templates.md").read_text(encoding="utf-8")
    create, send = re.findall(r"-d '(\{.*?\n\})'", guide, re.DOTALL)
    assert (await client.post(PATH, json=json.loads(create))).status_code == 201
    answer = await client.post("/v1/emails", json=json.loads(send))
    assert (await content(client, answer))[0] == "Welcome, Ada"
