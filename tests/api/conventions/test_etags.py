"""ETag, If-None-Match and If-Match."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penguinmails_api.conventions.etags import etag_of, is_current, is_known
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.api.things import PATHS, body_of
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain, make_email

URL = "https://hooks.example.com/in"


@pytest.fixture
async def endpoint(client: ApiClient) -> str:
    made = (await client.post("/v1/webhook_endpoints", json={"url": URL, "events": ["*"]})).json()
    return f"/v1/webhook_endpoints/{made['id']}"


def test_a_tag_is_of_the_content_whatever_its_order() -> None:
    assert etag_of({"a": 1, "b": 2}) == etag_of({"b": 2, "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": 2})


@pytest.mark.parametrize(
    ("header", "known", "current"),
    [
        ('"x"', True, True),
        ('W/"x"', True, False),
        ('"y", "x"', True, True),
        ('"y",W/"x"', True, False),
        ("*", True, True),
        ('"y"', False, False),
        ("x", False, False),
        ("", False, False),
    ],
)
def test_comparison(header: str, known: bool, current: bool) -> None:
    """RFC 9110 §8.8.3.2: weak for reads, strong for changes."""
    assert is_known(header, '"x"') is known
    assert is_current(header, '"x"') is current


async def test_what_is_known_is_not_sent_again(client: ApiClient, endpoint: str) -> None:
    first = await client.get(endpoint)
    etag = first.headers["etag"]
    again = await client.get(endpoint, headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert "content-type" not in again.headers
    await client.patch(endpoint, json={"description": "new"})
    changed = await client.get(endpoint, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_a_cut_answer_has_the_tag_of_the_whole_and_an_expanded_one_none(
    client: ApiClient, tenant: Tenant, database: Database
) -> None:
    email = f"/v1/emails/{ids.encode('msg', await make_email(database, tenant))}"
    etag = (await client.get(email)).headers["etag"]
    assert (await client.get(f"{email}?fields=subject")).headers["etag"] == etag
    assert (await client.get(f"{email}?fields=id", headers={"If-None-Match": etag})).status_code == 304
    assert "etag" not in (await client.get(f"{email}?expand=events")).headers


async def test_lists_and_errors_have_none(client: ApiClient, endpoint: str) -> None:
    assert "etag" not in (await client.get("/v1/webhook_endpoints")).headers
    missing = await client.get(endpoint[:-4] + "0000", headers={"If-None-Match": "*"})
    problem(missing, 404, "not_found")
    assert "etag" not in missing.headers
    assert "etag" in (await client.get("/v1/me")).headers


async def test_a_change_is_made_to_what_was_read_only(client: ApiClient, endpoint: str) -> None:
    etag = (await client.get(endpoint)).headers["etag"]
    assert (await client.patch(endpoint, json={"description": "a"}, headers={"If-Match": etag})).status_code == 200
    late = await client.patch(endpoint, json={"description": "b"}, headers={"If-Match": etag})
    problem(late, 412, "precondition_failed")
    now = await client.get(endpoint)
    assert late.headers["etag"] == now.headers["etag"]
    assert now.json()["description"] == "a"
    problem(await client.delete(endpoint, headers={"If-Match": f"W/{now.headers['etag']}"}), 412, "precondition_failed")
    assert (await client.delete(endpoint, headers={"If-Match": now.headers["etag"]})).status_code == 204
    problem(await client.delete(endpoint, headers={"If-Match": "*"}), 404, "not_found")


async def test_of_two_changes_at_once_one_is_told(client: ApiClient, endpoint: str) -> None:
    etag = (await client.get(endpoint)).headers["etag"]
    answers = await asyncio.gather(
        *(client.patch(endpoint, json={"description": text}, headers={"If-Match": etag}) for text in "abcd")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


async def test_every_kind_of_thing_is_matched(client: ApiClient, tenant: Tenant, database: Database) -> None:
    email = f"/v1/emails/{ids.encode('msg', await make_email(database, tenant))}"
    domain = f"/v1/domains/{ids.encode('dom', await make_domain(database, tenant, 'a.example'))}"
    made = (await client.post("/v1/suppressions", json={"address": "ada@example.com"})).json()
    suppression = f"/v1/suppressions/{made['id']}"
    body: dict[str, Any] = {"scheduled_at": "2026-12-24T18:00:00Z"}
    for method, path, sent in (("PATCH", email, body), ("DELETE", domain, None), ("DELETE", suppression, None)):
        etag = (await client.get(path)).headers["etag"]
        wrong = await client.request(method, path, json=sent, headers={"If-Match": '"wrong"'})
        problem(wrong, 412, "precondition_failed")
        assert (await client.get(path)).headers["etag"] == etag
        right = await client.request(method, path, json=sent, headers={"If-Match": etag})
        assert right.status_code in (200, 204), right.text


PATCHES = [(path, entry["patch"]["operationId"]) for path, entry in PATHS.items() if "patch" in entry]


def test_a_patch_answers_what_get_answers() -> None:
    for path, name in PATCHES:
        get, patch = (PATHS[path][method]["responses"]["200"] for method in ("get", "patch"))
        assert "ETag" in patch["headers"], f"{name}: an ETag, so that nobody must read before the next change"
        shown, changed = (answer["content"]["application/json"]["schema"] for answer in (get, patch))
        assert shown == changed, name


@pytest.mark.parametrize(("path", "name"), PATCHES, ids=[name for _, name in PATCHES])
async def test_a_change_answers_with_the_new_tag(
    client: ApiClient, things: dict[str, str], path: str, name: str
) -> None:
    real, body = path.format(**things), body_of("PATCH", path, name)
    before = await client.get(real)
    dry = await client.patch(f"{real}?dry_run=true", json=body, headers={"If-Match": before.headers["etag"]})
    assert (dry.status_code, dry.headers.get("etag")) == (200, None), dry.text
    first = await client.patch(real, json=body, headers={"If-Match": before.headers["etag"]})
    assert first.status_code == 200, first.text
    assert first.headers["etag"] == (await client.get(real)).headers["etag"]
    assert first.headers["etag"] != before.headers["etag"] or first.json() == before.json()
    second = await client.patch(real, json=body, headers={"If-Match": first.headers["etag"]})
    assert second.status_code == 200, second.text


async def test_a_change_is_not_answered_with_304(client: ApiClient, endpoint: str) -> None:
    body = {"description": "new"}
    etag = (await client.patch(endpoint, json=body)).headers["etag"]
    for known in (etag, "*"):
        again = await client.patch(endpoint, json=body, headers={"If-None-Match": known})
        assert (again.status_code, again.json()["description"]) == (200, "new")


async def test_where_it_means_nothing_it_is_refused_not_ignored(client: ApiClient, endpoint: str) -> None:
    document = problem(await client.post(f"{endpoint}/test", headers={"If-Match": "*"}), 422, "validation_failed")
    assert document["errors"][0]["pointer"] == "If-Match"
