"""Who gets in, and what a caller that does not is told."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.client_address import ClientAddresses
from penguinmails_api.context import RequestContext
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key, revoke_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import new_api_key
from penguinmails_core.kit.db import Database
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_email, make_tenant, make_workspace


async def test_a_valid_key_says_who_it_is(client: ApiClient, tenant: Tenant) -> None:
    me = (await client.get("/v1/me")).json()
    assert me["organization"] == {"id": ids.encode("org", tenant.id), "name": "Acme"}
    assert me["workspace"]["id"] == ids.encode("ws", tenant.workspace_id)
    assert me["api_key"]["id"] == ids.encode("key", tenant.live_key.id)
    assert (me["api_key"]["mode"], me["api_key"]["bound_to_workspace"]) == ("live", False)
    assert "emails:read" in me["api_key"]["scopes"]


async def test_the_scheme_is_case_insensitive(client: ApiClient, tenant: Tenant) -> None:
    response = await client.as_(None).get("/v1/me", headers={"Authorization": f"bearer {tenant.key}"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer pm_live_short",
        "Bearer " + "x" * 5000,
        "Bearer pm_live_\xe9",
    ],
)
async def test_no_usable_key_is_401_with_a_challenge(client: ApiClient, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    response = await client.as_(None).get("/v1/me", headers=headers)
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_an_unknown_but_well_formed_key_is_401(client: ApiClient) -> None:
    problem(await client.as_(new_api_key("live")).get("/v1/me"), 401, "unauthenticated")


async def test_a_key_with_a_wrong_checksum_is_401(client: ApiClient, tenant: Tenant) -> None:
    last = "a" if tenant.key[-1] != "a" else "b"
    document = problem(await client.as_(tenant.key[:-1] + last).get("/v1/me"), 401, "unauthenticated")
    assert "malformed" in document["detail"]


async def test_a_revoked_key_is_refused_at_once(client: ApiClient, services: Services, tenant: Tenant) -> None:
    assert (await client.get("/v1/me")).status_code == 200
    await revoke_key(services.database, services.doorbell, tenant.id, tenant.live_key.id)
    # The doorbell wakes the waiter in the next turns of the loop; nothing is slept for.
    for _ in range(200):
        response = await client.get("/v1/me")
        if response.status_code == 401:
            break
    document = problem(response, 401, "unauthenticated")
    assert "revoked" in document["detail"]


async def test_a_key_expires_while_it_is_cached(client: ApiClient, database: Database, tenant: Tenant) -> None:
    soon = utcnow() + timedelta(milliseconds=300)
    _, plain = await create_key(database, tenant.id, mode="live", name="short", expires_at=soon)
    caller = client.as_(plain)
    assert (await caller.get("/v1/me")).status_code == 200
    while utcnow() < soon:
        await caller.get("/healthz")
    document = problem(await caller.get("/v1/me"), 401, "unauthenticated")
    assert "expired" in document["detail"]


@pytest.mark.parametrize(
    "query", ["api_key=x", "access_token=x", "x=pm_live_abc", "x=pm%5Flive%5Fabc", "a=b&API_KEY=x"]
)
async def test_a_key_in_the_url_is_refused_and_never_repeated(client: ApiClient, query: str) -> None:
    response = await client.get("/v1/me?" + query)
    problem(response, 400, "key_in_query")
    assert "pm_live_abc" not in response.text


@pytest.mark.parametrize("path", ["/v1/me", "/v1/emails", "/v1/nothing", "/healthz", "/nowhere"])
@pytest.mark.parametrize("query", ["api_key={}", "x=1&anything={}", "x={}%00", "q=%7B%22k%22%3A%22{}%22%7D"])
@pytest.mark.parametrize("host", [["api.test"], ["api.test", "twice.test"]])
async def test_no_log_ever_holds_a_key_from_a_url(
    services: Services, tenant: Tenant, caplog: pytest.LogCaptureFixture, path: str, query: str, host: list[str]
) -> None:
    """Neither the access log's line, nor any other logger, nor the answer; whatever else is wrong with the request."""
    seen: list[str] = []

    def access_log(ctx: RequestContext, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        seen.append(f"{scope} {status}")

    gateway = create_gateway(services, access_log=access_log)
    caplog.set_level(logging.DEBUG)
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.format(tenant.key.replace("_", "%5F")).encode(),
        "headers": [(b"host", name.encode()) for name in host],
        "client": ("127.0.0.1", 1),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    status = sent[0]["status"]
    assert status == 400 if path.startswith("/v1") or len(host) > 1 else status in (200, 404)
    assert scope["query_string"] == b"redacted"
    assert len(seen) == 1
    for text in (*seen, caplog.text, *(str(record.__dict__) for record in caplog.records), str(sent)):
        assert tenant.key[8:] not in text


async def test_an_allowlist_lets_only_its_addresses_in(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, plain = await create_key(database, tenant.id, mode="live", name="office", allowed_ips=["192.0.2.0/24"])
    assert (await client.as_(plain, address="192.0.2.7").get("/v1/me")).status_code == 200
    assert (await client.as_(plain, address="::ffff:192.0.2.7").get("/v1/me")).status_code == 200
    document = problem(await client.as_(plain, address="198.51.100.1").get("/v1/me"), 403, "constraint_violated")
    assert "198.51.100.1" in document["detail"]


async def test_forwarded_for_is_believed_from_trusted_proxies_only(
    client: ApiClient, services: Services, database: Database, tenant: Tenant
) -> None:
    _, plain = await create_key(database, tenant.id, mode="live", name="office", allowed_ips=["192.0.2.0/24"])
    forged = {"X-Forwarded-For": "192.0.2.7"}
    problem(await client.as_(plain, address="198.51.100.1").get("/v1/me", headers=forged), 403, "constraint_violated")
    proxies = ClientAddresses(["198.51.100.0/24"])
    gateway = create_gateway(replace(services, addresses=proxies))
    async with ApiClient(gateway, plain, address="198.51.100.1") as caller:
        assert (await caller.get("/v1/me", headers=forged)).status_code == 200
        # What the client itself wrote stands further left and counts for nothing.
        chain = {"X-Forwarded-For": "192.0.2.7, 203.0.113.9, 198.51.100.2"}
        problem(await caller.get("/v1/me", headers=chain), 403, "constraint_violated")
        problem(await caller.get("/v1/me", headers={"X-Forwarded-For": "garbage"}), 403, "constraint_violated")
        problem(await caller.get("/v1/me"), 403, "constraint_violated")


async def test_a_scope_is_needed_and_named(client: ApiClient, database: Database, tenant: Tenant) -> None:
    _, plain = await create_key(database, tenant.id, mode="live", name="events", scopes=[Scope.EVENTS_READ])
    caller = client.as_(plain)
    assert (await caller.get("/v1/events")).status_code == 200
    document = problem(await caller.get("/v1/emails"), 403, "missing_scope")
    assert document["required_scope"] == "emails:read"
    assert document["granted_scopes"] == ["events:read"]


async def test_reading_does_not_allow_writing_but_writing_allows_reading(
    client: ApiClient, database: Database, tenant: Tenant
) -> None:
    email_id = ids.encode("msg", await make_email(database, tenant))
    _, reader = await create_key(database, tenant.id, mode="live", name="r", scopes=[Scope.EMAILS_READ])
    _, writer = await create_key(database, tenant.id, mode="live", name="w", scopes=[Scope.EMAILS_WRITE])
    problem(await client.as_(reader).post(f"/v1/emails/{email_id}/cancel"), 403, "missing_scope")
    assert (await client.as_(writer).get(f"/v1/emails/{email_id}")).status_code == 200


async def test_lists_hold_only_what_is_yours(
    client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant
) -> None:
    workspace = await make_workspace(database, tenant.id, "other")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    mine = await make_email(database, tenant)
    bound_mail = await make_email(database, tenant, workspace_id=workspace)
    test_mail = await make_email(database, tenant, mode="test")
    foreign = await make_email(database, stranger)
    for key, expected in (
        (tenant.key, {mine, bound_mail}),
        (bound, {bound_mail}),
        (tenant.test, {test_mail}),
        (stranger.key, {foreign}),
    ):
        emails = (await client.as_(key).get("/v1/emails")).json()["data"]
        assert {email["id"] for email in emails} == {ids.encode("msg", one) for one in expected}
        events = (await client.as_(key).get("/v1/events")).json()["data"]
        assert {event["data"]["email_id"] for event in events} == {ids.encode("msg", one) for one in expected}


async def test_foreign_events_do_not_exist(client: ApiClient, database: Database, stranger: Tenant) -> None:
    await make_email(database, stranger)
    event_id = (await client.as_(stranger.key).get("/v1/events")).json()["data"][0]["id"]
    problem(await client.get(f"/v1/events/{event_id}"), 404, "not_found")
    problem(await client.get(f"/v1/events?after={event_id}"), 422, "validation_failed")
    problem(await client.as_(stranger.test).get(f"/v1/events/{event_id}"), 404, "not_found")
    assert (await client.as_(stranger.key).get(f"/v1/events/{event_id}")).json()["id"] == event_id


async def test_two_authorization_headers_are_refused(client: ApiClient, tenant: Tenant) -> None:
    twice = [("Authorization", f"Bearer {tenant.key}"), ("Authorization", "Bearer x"), ("Host", "api.test")]
    response = await client._http.get("/v1/me", headers=twice)
    problem(response, 400, "bad_request")


async def test_routes_without_a_key_work_without_one(client: ApiClient) -> None:
    nobody = client.as_(None)
    for path in ("/", "/healthz", "/readyz", "/metrics", "/problems/not_found"):
        assert (await nobody.get(path)).status_code == 200
    assert (await nobody.get("/readyz")).json()["parts"] == {"database": "up", "content": "up", "redis": "up"}
    problem(await nobody.get("/problems/nothing"), 404, "not_found")
    assert (await nobody._http.get("/openapi.json")).json() == nobody.contract.document


async def test_second_tenant_has_its_own_key(database: Database) -> None:
    one, two = await make_tenant(database, "One"), await make_tenant(database, "Two")
    assert len({one.key, one.test, two.key, two.test}) == 4
