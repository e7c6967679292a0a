"""`fields=` and `expand=`."""

from __future__ import annotations

import pytest

from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_content, make_email, make_event


@pytest.fixture
async def email(database: Database, tenant: Tenant) -> str:
    made = await make_email(database, tenant)
    await make_content(database, tenant, made)
    return f"/v1/emails/{ids.encode('msg', made)}"


async def test_only_what_is_asked_for_and_the_id(client: ApiClient, email: str) -> None:
    whole = (await client.get(email)).json()
    sparse = (await client.get(f"{email}?fields=subject,status")).json()
    assert sparse == {name: whole[name] for name in ("id", "status", "subject")}
    assert (await client.get(f"{email}?fields=subject&fields=status")).json() == sparse
    assert (await client.get(f"{email}?fields=id")).json() == {"id": whole["id"]}
    assert (await client.get(f"{email}?fields=from,class")).json().keys() == {"id", "from", "class"}


async def test_items_of_a_page_are_cut_and_the_page_is_not(client: ApiClient, email: str) -> None:
    page = (await client.get("/v1/emails?limit=1&fields=subject")).json()
    assert page.keys() == {"data", "has_more", "next_cursor"}
    assert [item.keys() for item in page["data"]] == [{"id", "subject"}]
    events = (await client.get("/v1/events?fields=type")).json()
    assert [item.keys() for item in events["data"]] == [{"id", "type"}]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("fields=subject,nonsense", "fields"),
        ("fields=", "fields"),
        ("fields=subject,,status", "fields"),
        ("fields=data", "fields"),
        ("expand=recipients", "expand"),
        ("expand=content,x", "expand"),
        ("dry_run=true", "dry_run"),
        ("dry_run=maybe", "dry_run"),
    ],
)
async def test_what_is_not_known_names_the_choices(client: ApiClient, email: str, query: str, pointer: str) -> None:
    document = problem(await client.get(f"{email}?{query}"), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [pointer]
    if query == "fields=subject,nonsense":
        assert "nonsense" in document["detail"]
        assert "recipients" in document["detail"]


async def test_changes_take_no_fields_and_lists_expand_nothing(client: ApiClient, email: str) -> None:
    problem(await client.post(f"{email}/cancel?fields=id"), 422, "validation_failed")
    problem(await client.get("/v1/emails?expand=content"), 422, "validation_failed")
    problem(await client.get("/v1/me?expand=organization"), 422, "validation_failed")


async def test_other_parameters_are_still_looked_at(client: ApiClient, email: str) -> None:
    problem(await client.get(f"{email}?fields=id&colour=red"), 422, "validation_failed")
    problem(await client.get("/v1/emails?fields=id&colour=red"), 422, "validation_failed")
    assert (await client.get("/v1/emails?fields=id&status=sent")).json()["data"] == []


async def test_an_email_with_its_content_and_events(client: ApiClient, email: str) -> None:
    plain = (await client.get(email)).json()
    assert (plain["content"], plain["events"]) == (None, None)
    whole = (await client.get(f"{email}?expand=content,events")).json()
    assert whole["content"] == (await client.get(f"{email}/content")).json()
    assert whole["events"] == (await client.get(f"{email}/events")).json()["data"]
    assert {**whole, "content": None, "events": None} == plain
    cut = (await client.get(f"{email}?expand=content&fields=content")).json()
    assert cut == {"id": plain["id"], "content": whole["content"]}


async def test_content_that_is_gone_is_null(client: ApiClient, tenant: Tenant, database: Database) -> None:
    made = ids.encode("msg", await make_email(database, tenant))
    assert (await client.get(f"/v1/emails/{made}?expand=content")).json()["content"] is None


async def test_a_delivery_with_its_event_and_endpoint(client: ApiClient, tenant: Tenant, database: Database) -> None:
    made = (await client.post("/v1/webhook_endpoints", json={"url": "https://a.example.com/", "events": ["*"]})).json()
    endpoint = f"/v1/webhook_endpoints/{made['id']}"
    queued = (await client.post(f"{endpoint}/test")).json()
    path = f"{endpoint}/deliveries/{queued['delivery_id']}"
    plain = (await client.get(path)).json()
    assert (plain["event"], plain["endpoint"]) == (None, None)
    whole = (await client.get(f"{path}?expand=event&expand=endpoint")).json()
    assert whole["endpoint"] == (await client.get(endpoint)).json()
    assert whole["event"] == (await client.get(f"/v1/events/{queued['event_id']}")).json()
    _, key = await create_key(database, tenant.id, mode="live", name="no events", scopes=[Scope.WEBHOOK_ENDPOINTS_READ])
    reader = client.as_(key)
    assert (await reader.get(f"{path}?expand=endpoint")).status_code == 200
    problem(await reader.get(f"{path}?expand=event"), 403, "missing_scope")


async def test_events_of_a_suppression_are_found(client: ApiClient, tenant: Tenant, database: Database) -> None:
    await make_event(database.worker, tenant.id, None, new_uuid(), {}, type_="webhook.test")
    made = (await client.post("/v1/suppressions", json={"address": "ada@example.com"})).json()
    found = (await client.get("/v1/events", params={"resource_id": made["id"], "fields": "type"})).json()["data"]
    assert [event["type"] for event in found] == ["suppression.created"]
    assert found[0]["id"].startswith(Prefix.EVENT)
