"""`/v1/templates`, through the gateway, with real worker processes."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant

PATH = "/v1/templates"
BODY = {"name": "Welcome", "subject": "Hi {{ name }}", "html": "<p>Hello {{ name }}</p>"}


async def create(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json=BODY | members)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def version(client: ApiClient, template: dict[str, Any], **members: Any) -> dict[str, Any]:
    body = {"subject": "v", "text": "v"} | members
    response = await client.post(f"{PATH}/{template['id']}/versions", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def faults(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(error["pointer"], error["code"]) for error in document["errors"]}


async def test_a_template_and_its_first_version(client: ApiClient) -> None:
    made = await create(client, alias="welcome", note="First")
    assert (made["status"], made["latest_version"], made["published_version"]) == ("draft", 1, None)
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json() == {"data": [made], "has_more": False, "next_cursor": None}
    first = (await client.get(f"{PATH}/{made['id']}/versions/{made['latest_version_id']}")).json()
    assert (first["html"], first["mjml"], first["text"], first["engine"]) == (BODY["html"], None, None, "liquid")
    assert (first["used_variables"], first["status"], first["note"]) == (["name"], "draft", "First")
    assert (await client.get(f"{PATH}/{made['id']}/versions")).json()["data"] == [first]


async def test_publish_and_go_back(client: ApiClient) -> None:
    made = await create(client, publish=True)
    assert (made["status"], made["published_version"]) == ("published", 1)
    second = await version(client, made)
    assert (second["version"], second["status"]) == (2, "draft")
    assert (await client.get(f"{PATH}/{made['id']}")).json()["published_version"] == 1
    problem(await client.post(f"{PATH}/{made['id']}/rollback", json={"version": 2}), 409, "conflict")
    problem(await client.post(f"{PATH}/{made['id']}/rollback"), 409, "conflict")
    published = (await client.post(f"{PATH}/{made['id']}/publish")).json()
    assert (published["published_version"], published["published_version_id"]) == (2, second["id"])
    statuses = [item["status"] for item in (await client.get(f"{PATH}/{made['id']}/versions")).json()["data"]]
    assert statuses == ["published", "superseded"]
    assert (await client.post(f"{PATH}/{made['id']}/rollback")).json()["published_version"] == 1
    assert (await client.post(f"{PATH}/{made['id']}/rollback")).json()["published_version"] == 2
    unknown = await client.post(f"{PATH}/{made['id']}/publish", json={"version": 7})
    assert faults(problem(unknown, 422, "validation_failed")) == {("/version", "unknown_version")}
    actions = [entry["action"] for entry in (await client.get("/v1/audit_logs")).json()["data"]]
    assert actions[:4] == ["template.rolled_back"] * 2 + ["template.published", "template.updated"]


async def test_versions_cannot_be_changed_not_even_by_us(client: ApiClient, database: Database, tenant: Tenant) -> None:
    await create(client)
    async with database.tenant(tenant.id) as session:
        connection = await (await session.connection()).get_raw_connection()
        raw = connection.driver_connection
        assert raw is not None
        with pytest.raises(Exception, match="permission denied"):
            await raw.execute("update template_versions set subject = 'other'")


async def test_names_change_and_the_rest_stays(client: ApiClient) -> None:
    made = await create(client, alias="one")
    await create(client, alias="two")
    problem(await client.patch(f"{PATH}/{made['id']}", json={"alias": "two"}), 409, "conflict")
    changed = (await client.patch(f"{PATH}/{made['id']}", json={"name": "Other", "alias": None})).json()
    assert (changed["name"], changed["alias"], changed["latest_version"]) == ("Other", None, 1)
    refused = problem(await client.patch(f"{PATH}/{made['id']}", json={"alias": "No Spaces"}), 422, "validation_failed")
    assert faults(refused) == {("/alias", "invalid_alias")}


async def test_an_alias_is_one_of_its_kind_in_the_workspace(client: ApiClient) -> None:
    await create(client, alias="welcome")
    problem(await client.post(PATH, json=BODY | {"alias": "welcome"}), 409, "conflict")


async def test_delete(client: ApiClient) -> None:
    made = await create(client)
    assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204
    problem(await client.get(f"{PATH}/{made['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"html": None}, {("/html", "missing_content")}),
        ({"mjml": "<mjml></mjml>"}, {("/mjml", "conflict")}),
        ({"html": "{% if %}", "subject": "{{ x"}, {("/html", "liquid_syntax"), ("/subject", "liquid_syntax")}),
        ({"html": "x\0"}, {("/html", "invalid")}),
        ({"sample_variables": {"a": [{"b": "\0"}]}}, {("/sample_variables", "invalid")}),
        ({"sample_variables": {"a": 2**60}}, {("/sample_variables", "invalid")}),
        ({"html": None, "mjml": "<mjml><nope"}, {("/mjml", "mjml")}),
        ({"variables": [{"name": "9"}, {"name": "a"}, {"name": "a"}]},
         {("/variables/0/name", "invalid_name"), ("/variables/2/name", "duplicate")}),
        ({"variables": [{"name": "n", "type": "number", "fallback": "x"}]}, {("/variables/0/fallback", "wrong_type")}),
        ({"variables": [{"name": "n", "type": "number"}], "sample_variables": {"n": True}},
         {("/sample_variables/n", "wrong_type")}),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_not_stored(
    client: ApiClient, members: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    body = {"name": "n", "subject": "s", "html": "<p>x</p>"} | members
    assert faults(problem(await client.post(PATH, json=body), 422, "validation_failed")) == expected
    assert (await client.get(PATH)).json()["data"] == []


async def test_preview(client: ApiClient) -> None:
    made = await create(client, sample_variables={"name": "Sam"})
    path = f"{PATH}/{made['id']}/preview"
    assert (await client.post(path)).json() == {
        "version": 1, "subject": "Hi Sam", "html": "<p>Hello Sam</p>", "text": "Hello Sam\n"
    }  # fmt: skip
    assert (await client.post(path, json={"variables": {"name": "Ada"}})).json()["subject"] == "Hi Ada"
    refused = problem(await client.post(path, json={"variables": {"name": None}}), 422, "validation_failed")
    assert faults(refused) == {("/variables/name", "missing_variable")}


async def test_a_preview_names_all_that_is_missing(client: ApiClient) -> None:
    declared = [
        {"name": "plan", "fallback": "free"},
        {"name": "years", "type": "number"},
        {"name": "x", "required": False},
    ]
    made = await create(client, html="{{ a }}{{ user.name }}{{ plan }}", variables=declared)
    refused = problem(
        await client.post(f"{PATH}/{made['id']}/preview", json={"variables": {"user": {}}}), 422, "validation_failed"
    )
    wanted = {"/variables/name", "/variables/a", "/variables/user/name", "/variables/years"}
    assert faults(refused) == {(pointer, "missing_variable") for pointer in wanted}
    given = {"name": "n", "a": 1, "user": {"name": "u"}, "years": "2"}
    refused = problem(
        await client.post(f"{PATH}/{made['id']}/preview", json={"variables": given}), 422, "validation_failed"
    )
    assert faults(refused) == {("/variables/years", "wrong_type")}
    shown = (await client.post(f"{PATH}/{made['id']}/preview", json={"variables": given | {"years": 2}})).json()
    assert shown["html"] == "1ufree"


async def test_a_hostile_template_is_refused_in_time(client: ApiClient) -> None:
    body = {"name": "n", "subject": "s", "html": "{{ (1..1000000000) | join: ',' }}"}
    refused = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert faults(refused) == {("/html", "too_expensive")}


async def test_others_see_nothing_of_it(client: ApiClient, stranger: Tenant) -> None:
    made = await create(client)
    other = client.as_(stranger.key)
    assert (await other.get(PATH)).json()["data"] == []
    for path in (f"{PATH}/{made['id']}", f"{PATH}/{made['id']}/versions/{made['latest_version_id']}"):
        problem(await other.get(path), 404, "not_found")
    problem(await other.post(f"{PATH}/{made['id']}/preview"), 404, "not_found")
    problem(await other.post(f"{PATH}/{made['id']}/publish"), 404, "not_found")


async def test_a_version_of_another_template_is_none_of_this(client: ApiClient) -> None:
    one, two = await create(client), await create(client)
    problem(await client.get(f"{PATH}/{one['id']}/versions/{two['latest_version_id']}"), 404, "not_found")


async def test_test_mode_has_templates_of_its_own(client: ApiClient, tenant: Tenant) -> None:
    await create(client, alias="welcome")
    test = client.as_(tenant.test)
    assert (await test.get(PATH)).json()["data"] == []
    await create(test, alias="welcome")
