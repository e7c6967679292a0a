"""One thing of each kind, for tests that try every operation of the specification: a new kind of id is made from the
example of the operation that creates it, or found in a list. What neither gives must be made in `make_things`."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

import httpx

from penguinmails_api.app import api
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient
from tests.fixtures.dmarc import dmarc_report
from tests.fixtures.factories import (
    Recipient,
    Tenant,
    make_content,
    make_domain,
    make_email,
    make_grant,
    make_inbound_message,
    make_lane,
    make_workspace,
)
from tests.fixtures.people import make_invitation, make_member, make_role

PATHS: dict[str, dict[str, Any]] = api().openapi()["paths"] | api().openapi_v2()["paths"]
BODIES: dict[str, dict[str, Any]] = {
    "emails_update": {"scheduled_at": "2026-12-24T18:00:00Z"},
    "api_keys_derive": {"name": "Narrower", "scopes": ["emails:read"]},
    "webhook_endpoints_update": {"description": "changed"},
    "webhook_endpoints_resend_all": {},
    "webhook_endpoints_test_filter": {"filter": {"data.tags": "order"}, "event_type": "email.delivered"},
    "inbound_sources_update": {"name": "changed"},
    "inbound_sources_rotate_secret": {},
    "webhook_endpoints_replay": {},
    "templates_update": {"name": "changed"},
    "templates_publish": {},
    "templates_rollback": {},
    "templates_preview": {},
    "mailboxes_update": {"daily_cap": 40},
    "templates_send_test": {"from": "a@acme.test", "to": "b@example.com"},
    "api_keys_update": {"name": "changed"},
    "workspaces_update": {"name": "changed"},
    "topics_update": {"name": "changed"},
    "members_update": {"role": "viewer"},
    "roles_update": {"description": "changed"},
    "domains_add_report": {"content": b64encode(dmarc_report("acme.test", [])).decode()},
    "domains_apply_dns_records": {
        "rfc2136": {"server": "127.0.0.1", "zone": "acme.test", "key_name": "k", "key_secret": "c2VjcmV0"}
    },
}


async def make_things(client: ApiClient, database: Database, tenant: Tenant) -> dict[str, str]:
    """Ids by the name of the path parameter, all of `tenant` in live mode. `client` has a key of it."""
    email_id = await make_email(database, tenant, [Recipient("ada@example.com")])
    attachment_id = await make_content(database, tenant, email_id)
    event = (await client.get("/v1/events")).json()["data"][0]
    body = {"url": "https://hooks.example.com/in", "events": ["email.*"]}
    endpoint = (await client.post("/v1/webhook_endpoints", json=body)).json()
    await client.post(f"/v1/webhook_endpoints/{endpoint['id']}/rotate_secret")
    secrets = (await client.get(f"/v1/webhook_endpoints/{endpoint['id']}/secrets")).json()["data"]
    delivery_id = ids.new_uuid()
    await database.worker.execute(
        "insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, event_type) "
        "select $1, $2, $3, e.id, e.created_at, e.type from events e where e.id = $4",
        tenant.id,
        delivery_id,
        ids.decode("whe", endpoint["id"]),
        ids.decode("evt", event["id"]),
    )
    source = (await client.post("/v1/inbound_sources", json={"name": "GitHub", "scheme": "github"})).json()
    replay = (await client.post(f"/v1/webhook_endpoints/{endpoint['id']}/replay", json={})).json()
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
        "event_type": "email.delivered",
        "secret_id": secrets[1]["id"],
        "inbound_source_id": source["id"],
        "inbound_message_id": ids.encode("inm", await make_inbound_message(database, tenant, source["id"])),
        "oauth_grant_id": ids.encode("gra", await make_grant(database, tenant.id)),
        "delivery_id": ids.encode("whd", delivery_id),
        "replay_id": replay["id"],
        "lane_id": ids.encode("lan", await make_lane(database, tenant.id)),
    }
    found = await _discover(client)
    tokens = f"/v1/sso_connections/{found['sso']}/scim_tokens"
    made["token_id"] = (await client.post(tokens, json={"name": "Okta"})).json()["id"]
    return {name: found[prefix] for name, prefix in _prefixes().items() if prefix in found} | made


async def _discover(client: ApiClient) -> dict[str, str]:
    """One id of each prefix: of what the examples of the document create, and of what lists show."""
    found: dict[str, str] = {}
    for path, entry in PATHS.items():
        content = entry.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if path.startswith("/v1/") and "{" not in path and "example" in content:
            _note(await client.post(path, json=content["example"]), found)
    for path, entry in PATHS.items():
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
        for entry in PATHS.values()
        for operation in entry.values()
        for parameter in operation.get("parameters", [])
        if parameter.get("in") == "path" and (match := re.match(r"\^([a-z]+)_", parameter["schema"].get("pattern", "")))
    }


def body_of(method: str, path: str, name: str) -> Any:
    """What to send: of `BODIES`, else the example."""
    operation = PATHS[path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return BODIES.get(name, content.get("example"))
