"""`/v1/logs`: what requests leave behind, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_domain

PATH = "/v1/logs"
MESSAGE = {"from": "hello@acme.test", "to": "ada@example.com", "subject": "Secret plans", "text": "sesame"}


async def logged(services: Services, client: ApiClient, **params: Any) -> list[dict[str, Any]]:
    await services.request_log.flush()
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    data: list[dict[str, Any]] = response.json()["data"]
    return data


async def test_a_request_is_logged(client: ApiClient, services: Services, database: Database, tenant: Tenant) -> None:
    await make_domain(database, tenant, "acme.test")
    accepted = await client.post("/v1/emails", json=MESSAGE)
    missing = await client.get("/v1/emails/msg_x")
    second, first = await logged(services, client)
    assert first["request_id"] == accepted.headers["request-id"]
    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/emails", 202)
    assert (first["error_code"], first["credential_kind"]) == (None, "api_key")
    assert first["api_key_id"] == ids.encode(Prefix.API_KEY, tenant.live_key.id)
    assert first["ip"] == "127.0.0.0"
    assert 0 < first["duration_ms"] < 60_000
    assert second["request_id"] == missing.headers["request-id"]
    assert (second["route"], second["status"], second["error_code"]) == ("/v1/emails/{email_id}", 404, "not_found")
    found = await client.get(f"{PATH}/{first['request_id']}")
    assert found.json() == first


async def test_nothing_of_the_content_is_kept(
    client: ApiClient, services: Services, database: Database, tenant: Tenant
) -> None:
    await make_domain(database, tenant, "acme.test")
    await client.post("/v1/emails", json=MESSAGE)
    await client.get("/v1/suppressions", params={"q": "ada@"})
    await client.get("/v1/me", params={"api_key": "pm_live_x"})
    await services.request_log.flush()
    rows = await database.worker.fetch("select r::text as text from request_logs r")
    assert len(rows) >= 2
    text = " ".join(row["text"] for row in rows)
    for secret in (tenant.key, "pm_live", "sesame", "Secret plans", "ada@"):
        assert secret not in text


async def test_strangers_are_not_logged(client: ApiClient, services: Services, database: Database) -> None:
    await client.as_(None).get("/v1/me")
    await client.as_("pm_live_wrong").get("/v1/me")
    await client.as_(None).get("/healthz")
    await services.request_log.flush()
    assert await database.worker.fetchval("select count(*) from request_logs") == 0


async def test_each_sees_their_own(client: ApiClient, services: Services, tenant: Tenant, stranger: Tenant) -> None:
    mine = (await client.get("/v1/me")).headers["request-id"]
    await client.as_(tenant.test).get("/v1/me")
    await client.as_(stranger.key).get("/v1/me")
    assert [entry["request_id"] for entry in await logged(services, client)] == [mine]
    problem(await client.as_(stranger.key).get(f"{PATH}/{mine}"), 404, "not_found")
    problem(await client.as_(tenant.test).get(f"{PATH}/{mine}"), 404, "not_found")
    problem(await client.get(f"{PATH}/req_x"), 404, "not_found")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": 200}, 2),
        ({"status": [200, 404]}, 3),
        ({"status_class": "client_error"}, 1),
        ({"status_class": ["success", "server_error"]}, 2),
        ({"method": "POST"}, 0),
        ({"method": "GET"}, 3),
        ({"route": "/v1/me"}, 2),
        ({"route": "/v1/emails/{email_id}"}, 1),
        ({"error_code": "not_found"}, 1),
        ({"since": "2000-01-01T00:00:00Z"}, 3),
        ({"until": "2000-01-01T00:00:00Z"}, 0),
    ],
)
async def test_filters(client: ApiClient, services: Services, params: dict[str, Any], expected: int) -> None:
    await client.get("/v1/me")
    await client.get("/v1/me")
    await client.get("/v1/emails/msg_x")
    assert len(await logged(services, client, **params)) == expected


async def test_by_key(client: ApiClient, services: Services, database: Database, tenant: Tenant) -> None:
    other, plain = await create_key(database, tenant.id, mode="live", name="other")
    await client.as_(plain).get("/v1/me")
    await client.get("/v1/me")
    found = await logged(services, client, api_key_id=ids.encode(Prefix.API_KEY, other.id))
    assert [entry["api_key_id"] for entry in found] == [ids.encode(Prefix.API_KEY, other.id)]


async def test_pages(client: ApiClient, services: Services) -> None:
    made = [(await client.get("/v1/me")).headers["request-id"] for _ in range(5)][::-1]
    await services.request_log.flush()
    first = (await client.get(PATH, params={"limit": 2})).json()
    second = (await client.get(PATH, params={"limit": 3, "after": first["next_cursor"]})).json()
    assert [entry["request_id"] for entry in first["data"] + second["data"]] == made
    back = (await client.get(PATH, params={"limit": 1, "before": first["next_cursor"]})).json()
    assert [entry["request_id"] for entry in back["data"]] == made[:1]


async def test_a_scope_is_needed(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, plain = await create_key(database, tenant.id, mode="live", name="x", scopes=[Scope.EVENTS_READ])
    problem(await client.as_(plain).get(PATH), 403, "missing_scope")
