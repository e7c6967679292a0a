"""Garbage in, a problem out: the shape, the place and the fix; never a stack trace."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from penguinmails_api.app import create_gateway
from penguinmails_api.context import RequestContext
from penguinmails_api.gateway import MAX_BODY_BYTES, HotRoute, Receive, Scope, parse_json, read_body
from penguinmails_api.responses import RawResponse, json_response
from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_email

BROKEN_JSON = [
    (b'{"scheduled_at":\n  1,}', "line 2, column"),
    (b"", "line 1, column 1"),
    (b"{", "line 1, column"),
    (b'{"a": 1} x', "line 1, column 10"),
    (b'{"a": "\xff"}', "UTF-8"),
    (b"[" * 100_000, ""),
    (b"1" * 5000, ""),
]


@pytest.fixture
async def email_path(database: Database, tenant: Tenant) -> str:
    return "/v1/emails/" + ids.encode("msg", await make_email(database, tenant))


@pytest.mark.parametrize(("body", "place"), BROKEN_JSON)
async def test_broken_json_names_its_place(client: ApiClient, email_path: str, body: bytes, place: str) -> None:
    response = await client.patch(email_path, content=body)
    assert response.status_code in (400, 422), response.text
    if body:
        document = response.json()
        assert document["code"] in ("invalid_json", "validation_failed")
        assert place in document["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/scheduled_at", "required"),
        ({"scheduled_at": "2026-12-24T18:00:00Z", "at": 1}, "/at", "unknown_field"),
        ({"scheduled_at": "2026-12-24T18:00:00Z", "a/b~c": 1}, "/a~1b~0c", "unknown_field"),
        ({"scheduled_at": "tomorrow"}, "/scheduled_at", None),
        ({"scheduled_at": "2026-12-24T18:00:00"}, "/scheduled_at", None),
        ({"scheduled_at": None}, "/scheduled_at", None),
        ({"scheduled_at": {}}, "/scheduled_at", None),
        ([], "", None),
        ("x", "", None),
        (None, "", None),
    ],
)
async def test_fields_are_named_by_json_pointers(
    client: ApiClient, email_path: str, body: object, pointer: str, code: str | None
) -> None:
    content = b"null" if body is None else None
    document = problem(await client.patch(email_path, json=body, content=content), 422, "validation_failed")
    errors = {error["pointer"]: error for error in document["errors"]}
    assert pointer in errors, document
    assert code is None or errors[pointer]["code"] == code
    assert all(error["detail"] for error in document["errors"])


@pytest.mark.parametrize(
    ("query", "parameter", "named"),
    [
        ("limit=101", "limit", "100"),
        ("limit=0", "limit", "1"),
        ("limit=-1", "limit", "1"),
        ("limit=ten", "limit", "limit"),
        ("limit=99999999999999999999", "limit", "100"),
        ("after=nonsense", "after", "next_cursor"),
        ("after=%F0%9F%90%A7", "after", "next_cursor"),
        ("before=AQ", "before", "next_cursor"),
        ("status=lost", "status", "failed"),
        ("to=not-an-address", "to", "to"),
        ("created_after=yesterday", "created_after", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after", "created_after"),
        ("sort=asc", "sort", "sort"),
    ],
)
async def test_parameters_are_named_with_limit_and_fix(
    client: ApiClient, query: str, parameter: str, named: str
) -> None:
    document = problem(await client.get("/v1/emails?" + query), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [parameter]
    assert named in document["errors"][0]["detail"]


async def test_both_directions_at_once_are_refused(client: ApiClient) -> None:
    document = problem(await client.get("/v1/emails?after=a&before=b"), 422, "validation_failed")
    assert "not both" in document["errors"][0]["detail"]


async def test_a_nul_in_the_query_is_refused(client: ApiClient) -> None:
    problem(await client.get("/v1/emails?tag=%00"), 400, "bad_request")


@pytest.mark.parametrize("tag", ["\ud800", "'; drop table events; --", "%", "🐧" * 64])
async def test_odd_text_in_the_query_is_only_text(client: ApiClient, tag: str) -> None:
    response = await client.get("/v1/emails", params=[("tag", tag.encode("utf-8", "surrogatepass"))])
    assert response.status_code in (200, 422)


async def test_unknown_paths_and_methods(client: ApiClient) -> None:
    problem(await client.get("/v1/nothing"), 404, "not_found")
    problem(await client.get("/nothing"), 404, "not_found")
    response = await client.delete("/v1/emails/msg_01kaz6yzwhe1xrqm3c8s4q3m8r")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, PATCH"
    problem(await client.request("TRACE", "/healthz"), 405, "method_not_allowed")


async def test_the_key_is_asked_for_before_the_path_is_told(client: ApiClient) -> None:
    problem(await client.as_(None).get("/v1/nothing"), 401, "unauthenticated")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
async def test_a_body_that_does_not_say_json_is_415(client: ApiClient, email_path: str, content_type: str) -> None:
    response = await client.patch(email_path, content=b"{}", headers={"Content-Type": content_type})
    problem(response, 415, "unsupported_media_type")


async def test_json_with_a_charset_is_json(client: ApiClient, email_path: str) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    problem(await client.patch(email_path, content=b"{}", headers=headers), 422, "validation_failed")


async def test_an_announced_body_over_the_limit_is_not_read(client: ApiClient, email_path: str) -> None:
    read = []

    async def receive() -> dict[str, object]:
        read.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PATCH",
        "path": email_path,
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", b"api.test"),
            (b"authorization", b"Bearer " + str(client.key).encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(MAX_BODY_BYTES + 1).encode()),
        ],
    }
    await client.gateway(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]  # type: ignore[operator]
    assert read == []


async def test_a_body_without_a_length_is_counted(client: ApiClient, email_path: str) -> None:
    produced = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal produced
        for _ in range(1000):
            produced += 1
            yield b" " * 16384

    document = problem(await client.patch(email_path, content=chunks()), 413, "payload_too_large")
    assert document["limit"] == MAX_BODY_BYTES
    assert produced <= MAX_BODY_BYTES // 16384 + 2


@pytest.mark.parametrize("host", [b"", b"a/b", b"user@host", b"a b", b"x" * 300, b"\xff"])
async def test_a_host_that_is_none_is_refused(client: ApiClient, host: bytes) -> None:
    response = await client.get("/v1/me", headers=[(b"Host", host)])
    problem(response, 400, "bad_request")


async def test_every_answer_has_the_same_base(client: ApiClient) -> None:
    seen = set()
    for path in ("/healthz", "/v1/me", "/nothing", "/v1/emails?limit=0", "/v1/me?token=x"):
        headers = (await client.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["penguinmails-version"]
        seen.add(headers["request-id"])
    assert len(seen) == 5


async def test_a_client_cannot_choose_the_request_id(client: ApiClient) -> None:
    forged = ids.encode("req", ids.new_uuid())
    response = await client.get("/healthz", headers={"Request-Id": forged, "X-Request-Id": forged})
    assert response.headers["request-id"] != forged


async def test_our_own_errors_say_nothing_internal(
    services: Services, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(ctx: RequestContext, scope: Scope, receive: Receive) -> RawResponse:
        raise RuntimeError("password=hunter2")

    gateway = create_gateway(services, hot={("GET", "/v1/me"): HotRoute(fail)})
    async with ApiClient(gateway, tenant.key) as client:
        response = await client.get("/v1/me")
    document = problem(response, 500, "internal_error")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    assert any(getattr(record, "request_id", "") == document["request_id"] for record in caplog.records)


async def test_a_hot_route_gets_the_caller_and_the_body(services: Services, tenant: Tenant) -> None:
    async def echo(ctx: RequestContext, scope: Scope, receive: Receive) -> RawResponse:
        body = parse_json(await read_body(receive))
        return json_response(200, {"organization": str(ctx.caller.organization_id), "body": body})

    gateway = create_gateway(services, hot={("POST", "/v1/echo"): HotRoute(echo, max_body_bytes=20)})
    async with ApiClient(gateway, tenant.key) as client:
        response = await client._http.post("/v1/echo", json={"a": 1}, headers={"Authorization": f"Bearer {tenant.key}"})
        assert response.json() == {"organization": str(tenant.id), "body": {"a": 1}}
        assert response.headers["ratelimit-limit"]
        problem(await client.post("/v1/echo", content=b'{"a":\n x}'), 400, "invalid_json")
        large = await client._http.post(
            "/v1/echo", json={"a": "x" * 30}, headers={"Authorization": f"Bearer {tenant.key}"}
        )
        problem(large, 413, "payload_too_large")
        problem(await client.as_(None).post("/v1/echo", json={}), 401, "unauthenticated")


async def test_a_lost_database_is_503_and_readyz_names_it(services: Services, tenant: Tenant) -> None:
    async with ApiClient(create_gateway(services), tenant.key) as client:
        assert (await client.get("/v1/me")).status_code == 200
        await services.database.ingest.close()
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["parts"]["database"] == "down"
        services.authenticator.forget()
        response = await client.get("/v1/me")
        problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"


async def test_a_database_that_ends_its_connections_costs_one_answer(
    services: Services, database: Database, tenant: Tenant
) -> None:
    """As after a restart of PostgreSQL: the pool's connections are dead and only found out when they are used."""
    async with ApiClient(create_gateway(services), tenant.key) as client:
        assert (await client.get("/v1/me")).status_code == 200
        owner = await asyncpg.connect(database.dsn)
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'penguinmails app'"
        )
        await owner.close()
        problem(await client.get("/v1/me"), 503, "unavailable")
        assert (await client.get("/v1/me")).status_code == 200


async def test_a_database_that_cannot_be_reached_is_503(services: Services, tenant: Tenant) -> None:
    unreachable = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    real = services.database
    async with ApiClient(create_gateway(services), tenant.key) as client:
        assert (await client.get("/v1/me")).status_code == 200
        services.database = Database(real.dsn, unreachable, real.ingest, real.worker)
        problem(await client.get("/v1/me"), 503, "unavailable")
        services.database = real
    await unreachable.dispose()
