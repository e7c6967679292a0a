"""Every operation that takes an id, called by everyone who must not know of it. A new operation is tried by itself; a
new kind of id must be added to `things`, else its test fails."""

from __future__ import annotations

import re
from typing import Any

import pytest

from penguinmails_api.app import api
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_content, make_domain, make_email, make_workspace

BODIES: dict[str, dict[str, Any]] = {
    "emails_update": {"scheduled_at": "2026-12-24T18:00:00Z"},
    "webhook_endpoints_update": {"description": "changed"},
    "webhook_endpoints_resend_all": {},
    "api_keys_update": {"name": "changed"},
    "api_keys_derive": {"name": "child", "scopes": ["emails:read"]},
}
ELSEWHERE = {"logs_get": "tests/api/v1/test_logs.py: what it shows is written in the background"}
OPERATIONS = [
    (method.upper(), path, operation["operationId"])
    for path, entry in api().openapi()["paths"].items()
    for method, operation in entry.items()
    if path.startswith("/v1") and "{" in path and operation["operationId"] not in ELSEWHERE
]


@pytest.fixture
async def things(client: ApiClient, database: Database, tenant: Tenant) -> dict[str, str]:
    """One of each kind, all of `tenant` in live mode, by the name of the path parameter."""
    email_id = await make_email(database, tenant, [Recipient("ada@example.com")])
    attachment_id = await make_content(database, tenant, email_id)
    event = (await client.get("/v1/events")).json()["data"][0]
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"]}
    endpoint = (await client.post("/v1/webhook_endpoints", json=body)).json()
    delivery_id = ids.new_uuid()
    await database.worker.execute(
        "insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, event_type) "
        "select $1, $2, $3, e.id, e.created_at, e.type from events e where e.id = $4",
        tenant.id,
        delivery_id,
        ids.decode("whe", endpoint["id"]),
        ids.decode("evt", event["id"]),
    )
    suppression = (await client.post("/v1/suppressions", json={"address": "ada@example.com"})).json()
    api_key = (await client.post("/v1/api_keys", json={"name": "k", "scopes": ["emails:read"]})).json()
    audit_log = (await client.get("/v1/audit_logs")).json()["data"][0]
    return {
        "audit_log_id": audit_log["id"],
        "suppression_id": suppression["id"],
        "domain_id": ids.encode("dom", await make_domain(database, tenant, "acme.test")),
        "api_key_id": api_key["id"],
        "email_id": ids.encode("msg", email_id),
        "attachment_id": ids.encode("att", attachment_id),
        "event_id": event["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": ids.encode("whd", delivery_id),
    }


@pytest.mark.parametrize(("method", "path", "name"), OPERATIONS, ids=[name for _, _, name in OPERATIONS])
async def test_nobody_else_sees_it(
    client: ApiClient,
    database: Database,
    tenant: Tenant,
    stranger: Tenant,
    things: dict[str, str],
    method: str,
    path: str,
    name: str,
) -> None:
    workspace = await make_workspace(database, tenant.id, "other")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    real = path.format(**things)
    others = [stranger.key, bound]
    if "{domain_id}" not in path:  # live and test data share the domains
        others += [stranger.test, tenant.test]
    for key in others:
        problem(await client.as_(key).request(method, real, json=BODIES.get(name)), 404, "not_found")
    # In each place, an id that is well-formed but was never given out.
    for parameter in re.findall(r"\{(\w+)\}", path):
        prefix = things[parameter].partition("_")[0]
        unknown = path.format(**(things | {parameter: ids.encode(prefix, ids.new_uuid())}))
        problem(await client.request(method, unknown, json=BODIES.get(name)), 404, "not_found")
    # And the owner does see it: the others did not fail for some other reason.
    response = await client.request(method, real, json=BODIES.get(name))
    assert response.status_code in (200, 201, 202, 204, 409), response.text
