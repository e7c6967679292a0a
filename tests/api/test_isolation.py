"""Every operation that takes an id, called by everyone who must not know of it. A new operation is tried by itself; a
new kind of id is made from the example of the operation that creates it, or found in a list. What neither gives must be
made in `things`, else its test fails."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from penguinmails_api.app import api
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_content, make_domain, make_email, make_workspace
from tests.fixtures.people import make_invitation, make_member, make_role

BODIES: dict[str, dict[str, Any]] = {
    "emails_update": {"scheduled_at": "2026-12-24T18:00:00Z"},
    "api_keys_derive": {"name": "Narrower", "scopes": ["emails:read"]},
    "webhook_endpoints_update": {"description": "changed"},
    "webhook_endpoints_resend_all": {},
    "api_keys_update": {"name": "changed"},
    "workspaces_update": {"name": "changed"},
    "members_update": {"role": "viewer"},
    "roles_update": {"description": "changed"},
}
ELSEWHERE = {"logs_get": "tests/api/v1/test_logs.py: what it shows is written in the background"}
# Live and test data share these; keys of the other mode see them, keys of other organizations and workspaces do not.
IN_BOTH_MODES = {"domain_id", "workspace_id", "member_id", "role_id"}
DOCUMENT: dict[str, Any] = api().openapi()
OPERATIONS = [
    (method.upper(), path, operation["operationId"])
    for path, entry in DOCUMENT["paths"].items()
    for method, operation in entry.items()
    if path.startswith("/v1/") and "{" in path and operation["operationId"] not in ELSEWHERE
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
    audit_log = (await client.get("/v1/audit_logs")).json()["data"][0]
    member = await make_member(database, tenant.id)
    invitation = await make_invitation(database, tenant)
    role = await make_role(database, tenant.id, "Reader", ["emails:read"])
    made = {
        "workspace_id": ids.encode("ws", await make_workspace(database, tenant.id, "mine")),
        "member_id": ids.encode("mem", member.member_id),
        "role_id": ids.encode("rol", role),
        "invitation_id": ids.encode("inv", invitation),
        "audit_log_id": audit_log["id"],
        "domain_id": ids.encode("dom", await make_domain(database, tenant, "acme.test")),
        "email_id": ids.encode("msg", email_id),
        "attachment_id": ids.encode("att", attachment_id),
        "event_id": event["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": ids.encode("whd", delivery_id),
    }
    found = await _discover(client)
    return {name: found[prefix] for name, prefix in _prefixes().items() if prefix in found} | made


async def _discover(client: ApiClient) -> dict[str, str]:
    """One id of each prefix: of what the examples of the document create, and of what lists show."""
    found: dict[str, str] = {}
    for path, entry in DOCUMENT["paths"].items():
        content = entry.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if path.startswith("/v1/") and "{" not in path and "example" in content:
            _note(await client.post(path, json=content["example"]), found)
    for path, entry in DOCUMENT["paths"].items():
        if path.startswith("/v1/") and "{" not in path and "get" in entry:
            _note(await client.get(path), found)
    return found


def _note(response: httpx.Response, found: dict[str, str]) -> None:
    if response.is_success:
        for match in re.finditer(r"\b([a-z]{2,6})_[0-7][0-9a-hjkmnp-tv-z]{25}\b", response.text):
            found.setdefault(match[1], match[0])


def _prefixes() -> dict[str, str]:
    """``{"email_id": "msg"}``, from the patterns of path parameters."""
    return {
        parameter["name"]: match[1]
        for entry in DOCUMENT["paths"].values()
        for operation in entry.values()
        for parameter in operation.get("parameters", [])
        if parameter.get("in") == "path" and (match := re.match(r"\^([a-z]+)_", parameter["schema"].get("pattern", "")))
    }


def _body(method: str, path: str, name: str) -> Any:
    operation = DOCUMENT["paths"][path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return BODIES.get(name, content.get("example"))


async def _state(client: ApiClient, path: str, things: dict[str, str]) -> Any:
    """What the owner sees of the thing that `path` is about, when there is a way to look at it."""
    place = path[: path.rindex("}") + 1]
    if "get" not in DOCUMENT["paths"].get(place, {}):
        return None
    response = await client.get(place.format(**things))
    return response.json() if "json" in response.headers.get("content-type", "") else response.content


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
    parameters = re.findall(r"\{(\w+)\}", path)
    assert set(parameters) <= set(things), f"make one in `things`: {set(parameters) - set(things)}"
    workspace = await make_workspace(database, tenant.id, "other")
    _, bound = await create_key(database, tenant.id, mode="live", name="bound", workspace_id=workspace)
    others = [stranger.key, bound]
    if not IN_BOTH_MODES & set(parameters):
        others += [stranger.test, tenant.test]
    elif method == "GET":  # test keys may change none of these, and are told so before anybody looks for it
        others.append(stranger.test)
    real, body = path.format(**things), _body(method, path, name)
    before = await _state(client, path, things)
    for key in others:
        problem(await client.as_(key).request(method, real, json=body), 404, "not_found")
    assert await _state(client, path, things) == before, "somebody who was told 404 has changed it all the same"
    # In each place, an id that is well-formed but was never given out.
    for parameter in parameters:
        prefix = things[parameter].partition("_")[0]
        unknown = path.format(**(things | {parameter: ids.encode(prefix, ids.new_uuid())}))
        problem(await client.request(method, unknown, json=body), 404, "not_found")
    # And the owner does see it: the others did not fail for some other reason.
    response = await client.request(method, real, json=body)
    assert response.status_code in (200, 201, 202, 204, 409), response.text
