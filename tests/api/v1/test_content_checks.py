"""`/v1/content_checks`, through the gateway, with a real SpamAssassin."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.services import Settings
from penguinmails_core.config import CheckSettings, DatabaseSettings
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.spamd import spamd

__all__ = ["spamd"]
PATH = "/v1/content_checks"


@pytest.fixture
def settings(spamd: str) -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=2),
        check=CheckSettings(spamd_url=spamd),
    )


def faults(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(error["pointer"], error["code"]) for error in document["errors"]}


async def test_a_check(client: ApiClient) -> None:
    html = '<html lang="en"><p>Hello Ada, <a href="http://acme.example/o">see your order</a></p></html>'
    body = {"subject": "Hello", "html": html, "text": "Hello Ada, see your order: http://acme.example/o"}
    made = (await client.post(PATH, json=body)).json()
    assert (made["passed"], made["errors"], made["warnings"]) == (True, 0, 1)
    [found] = made["findings"]
    assert (found["id"], found["severity"], found["part"], found["line"]) == ("link_not_https", "warning", "html", 1)
    assert found["snippet"] == "http://acme.example/o"
    assert made["spam"]["status"] == "checked"
    assert made["spam"]["score"] < made["spam"]["threshold"] == 5.0
    assert {rule["name"] for rule in made["spam"]["rules"]} >= {"HTML_MESSAGE", "NO_RELAYS"}
    assert all(rule["description"] for rule in made["spam"]["rules"])
    assert made["blocklists"] == {"status": "not_configured", "hosts": [], "unusable": []}


async def test_a_template_is_checked_filled_in_a_draft_too(client: ApiClient) -> None:
    template = {
        "name": "n",
        "alias": "sale",
        "subject": "Hi {{ name }}",
        "html": '<html lang="en"><p>Hello {{ name }}</p></html>',
        "sample_variables": {"name": "Sam"},
    }
    assert (await client.post("/v1/templates", json=template)).status_code == 201
    made = (await client.post(PATH, json={"template": {"alias": "sale"}, "class": "campaign"})).json()
    assert [found["id"] for found in made["findings"]] == ["unsubscribe_missing"]
    assert made["passed"] is False
    refused = await client.post(PATH, json={"template": {"alias": "sale", "variables": {}}})
    assert faults(problem(refused, 422, "validation_failed")) == {("/template/variables/name", "missing_variable")}
    refused = await client.post(PATH, json={"template": {"alias": "sale"}, "subject": "s"})
    assert faults(problem(refused, 422, "validation_failed")) == {("/subject", "conflict")}


async def test_nothing_to_check(client: ApiClient) -> None:
    assert faults(problem(await client.post(PATH, json={}), 422, "validation_failed")) == {("/html", "missing_content")}
    refused = problem(await client.post(PATH, json={"text": "x" * 200_001}), 422, "validation_failed")
    assert faults(refused) == {("/text", "too_long")}


async def test_the_address_of_spamd_is_checked_at_the_start() -> None:
    with pytest.raises(ValueError, match="host:port"):
        CheckSettings(spamd_url="spamd")
