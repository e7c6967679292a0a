"""`?dry_run=true`: the whole answer, and nothing kept; tried on every operation that changes something."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from penguinmails_api.app import api
from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import MAIL, WEBHOOKS
from tests.api.conventions.test_declared import MUTATING, NO_DRY_RUN, operations
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.dmarc import dmarc_report
from tests.fixtures.factories import (
    Recipient,
    Tenant,
    make_domain,
    make_email,
    make_grant,
    make_inbound_message,
    make_lane,
)

MAILBOX = {"address": "grace@acme.test", "smtp": {"host": "mail.acme.test", "password": "x"}, "verify": False}
KEY = {"name": "k", "scopes": ["emails:write"]}
APP = {
    "name": "CRM",
    "confidential": True,
    "scopes": ["emails:read"],
    "grant_types": ["authorization_code"],
    "redirect_uris": ["https://crm.example.com/cb"],
}


@dataclass(frozen=True, slots=True)
class World:
    client: ApiClient
    tenant: Tenant
    database: Database

    async def made(self, path: str, body: dict[str, Any]) -> str:
        response = await self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        return f"{path}/{response.json()['id']}"

    async def connection(self) -> str:
        body = {"protocol": "oidc", "name": "Okta", "issuer": "https://login.acme.example", "client_id": "penguinmails"}
        return await self.made("/v1/sso_connections", body | {"domains": ["acme.example"]})

    async def app(self) -> str:
        return await self.made("/v1/oauth_apps", APP)

    async def grant(self) -> str:
        made = await make_grant(self.database, self.tenant.id)
        return f"/v1/oauth_grants/{ids.encode('gra', made)}"

    async def workspace(self) -> str:
        return await self.made("/v1/workspaces", {"name": "North", "slug": "north"})

    async def role(self) -> str:
        return await self.made("/v1/roles", {"name": "Readers", "scopes": ["emails:read"]})

    async def email(self, status: str = "queued") -> str:
        made = await make_email(self.database, self.tenant, [Recipient("ada@example.com", status)])
        return f"/v1/emails/{ids.encode('msg', made)}"

    async def endpoint(self) -> str:
        return await self.made("/v1/webhook_endpoints", {"url": "https://a.example.com/", "events": ["*"]})

    async def suppression(self, *, lifted: bool = False) -> str:
        path = await self.made("/v1/suppressions", {"address": "ada@example.com"})
        if lifted:
            await self.client.delete(path)
        return path

    async def topic(self) -> str:
        return await self.made("/v1/topics", {"list": "news", "name": "News"})

    async def key(self) -> str:
        return await self.made("/v1/api_keys", KEY)

    async def source(self) -> str:
        return await self.made("/v1/inbound_sources", {"name": "GitHub", "scheme": "github"})

    async def template(self, *, publish: bool = True) -> str:
        body = {"name": "Welcome", "subject": "s", "text": "t", "publish": publish}
        return await self.made("/v1/templates", body)

    async def inbound_message(self) -> str:
        source = (await self.source()).rpartition("/")[2]
        message = await make_inbound_message(self.database, self.tenant, source)
        return f"/v1/inbound_messages/{ids.encode('inm', message)}"

    async def mailbox(self) -> str:
        return await self.made("/v1/mailboxes", MAILBOX)

    async def lane(self, *, held: bool = False) -> str:
        return f"/v1/lanes/{ids.encode('lan', await make_lane(self.database, self.tenant.id, held=held))}"

    async def domain(self) -> str:
        return f"/v1/domains/{ids.encode('dom', await make_domain(self.database, self.tenant, 'acme.test'))}"


@pytest.fixture
def world(client: ApiClient, tenant: Tenant, database: Database) -> World:
    return World(client, tenant, database)


Request = tuple[str, dict[str, Any] | None]
EMAIL = {"from": "a@acme.test", "to": "b@example.com", "subject": "s", "text": "t"}
RECIPES: dict[str, Callable[[World], Awaitable[Request]]] = {}


def recipe(make: Callable[[World], Awaitable[Request]]) -> Callable[[World], Awaitable[Request]]:
    """A request that succeeds. The name of the function is the operationId."""
    RECIPES[make.__name__] = make
    return make


@recipe
async def emails_send(world: World) -> Request:
    await world.domain()
    return "/v1/emails", EMAIL


@recipe
async def emails_batch(world: World) -> Request:
    await world.domain()
    return "/v1/emails/batch", {"emails": [EMAIL, EMAIL]}


@recipe
async def emails_update(world: World) -> Request:
    return await world.email(), {"scheduled_at": "2026-12-24T18:00:00Z"}


@recipe
async def emails_cancel(world: World) -> Request:
    return f"{await world.email()}/cancel", None


@recipe
async def emails_retry(world: World) -> Request:
    return f"{await world.email('failed')}/retry", None


@recipe
async def emails_cancel_batch(world: World) -> Request:
    return "/v1/emails/cancel", {"ids": [(await world.email()).rpartition("/")[2]]}


@recipe
async def webhook_endpoints_resend_all(world: World) -> Request:
    endpoint = await world.endpoint()
    await world.client.post(f"{endpoint}/test")
    await world.database.worker.execute("update webhook_deliveries set status = 'exhausted', due_at = null")
    return f"{endpoint}/deliveries/resend", {}


@recipe
async def content_checks_create(world: World) -> Request:
    return "/v1/content_checks", {"subject": "s", "text": "t"}


@recipe
async def templates_create(world: World) -> Request:
    return "/v1/templates", {"name": "Welcome", "subject": "Hello {{ name }}", "text": "t"}


@recipe
async def templates_update(world: World) -> Request:
    return await world.template(), {"name": "Hello"}


@recipe
async def templates_delete(world: World) -> Request:
    return await world.template(), None


@recipe
async def templates_create_version(world: World) -> Request:
    return f"{await world.template()}/versions", {"subject": "s2", "text": "t2"}


@recipe
async def templates_publish(world: World) -> Request:
    return f"{await world.template(publish=False)}/publish", None


@recipe
async def templates_rollback(world: World) -> Request:
    template = await world.template()
    await world.client.post(f"{template}/versions", json={"subject": "s2", "text": "t2", "publish": True})
    return f"{template}/rollback", None


@recipe
async def templates_send_test(world: World) -> Request:
    await world.domain()
    return f"{await world.template()}/send_test", {"from": "a@acme.test", "to": "b@example.com"}


@recipe
async def templates_preview(world: World) -> Request:
    return f"{await world.template()}/preview", None


@recipe
async def inbound_sources_create(world: World) -> Request:
    return "/v1/inbound_sources", {"name": "GitHub", "scheme": "github"}


@recipe
async def inbound_sources_update(world: World) -> Request:
    return await world.source(), {"status": "disabled"}


@recipe
async def inbound_sources_delete(world: World) -> Request:
    return await world.source(), None


@recipe
async def inbound_sources_rotate_secret(world: World) -> Request:
    return f"{await world.source()}/rotate_secret", {}


@recipe
async def inbound_messages_replay(world: World) -> Request:
    return f"{await world.inbound_message()}/replay", None


@recipe
async def webhook_endpoints_replay(world: World) -> Request:
    return f"{await world.endpoint()}/replay", {"only": "all"}


@recipe
async def webhook_replays_cancel(world: World) -> Request:
    response = await world.client.post(f"{await world.endpoint()}/replay", json={})
    return f"/v1/webhook_replays/{response.json()['id']}/cancel", None


@recipe
async def webhook_endpoints_create(world: World) -> Request:
    return "/v1/webhook_endpoints", {"url": "https://a.example.com/", "events": ["*"]}


@recipe
async def webhook_endpoints_update(world: World) -> Request:
    return await world.endpoint(), {"status": "disabled"}


@recipe
async def webhook_endpoints_delete(world: World) -> Request:
    return await world.endpoint(), None


@recipe
async def webhook_endpoints_rotate_secret(world: World) -> Request:
    return f"{await world.endpoint()}/rotate_secret", None


@recipe
async def webhook_endpoints_test_filter(_: World) -> Request:
    return "/v1/webhook_endpoints/test_filter", {"filter": {"data.tags": "order"}, "event_type": "email.delivered"}


@recipe
async def webhook_endpoints_end_secret(world: World) -> Request:
    endpoint = await world.endpoint()
    await world.client.post(f"{endpoint}/rotate_secret")
    old = (await world.client.get(f"{endpoint}/secrets")).json()["data"][1]
    return f"{endpoint}/secrets/{old['id']}", None


@recipe
async def webhook_endpoints_test(world: World) -> Request:
    return f"{await world.endpoint()}/test", None


@recipe
async def webhook_endpoints_resend(world: World) -> Request:
    endpoint = await world.endpoint()
    queued = (await world.client.post(f"{endpoint}/test")).json()
    return f"{endpoint}/deliveries/{queued['delivery_id']}/resend", None


@recipe
async def webhook_portal_links_create(_: World) -> Request:
    return "/v1/webhook_portal/links", {"consumer": "customer_42"}


@recipe
async def webhook_portal_links_revoke(world: World) -> Request:
    return await world.made("/v1/webhook_portal/links", {"consumer": "customer_42"}), None


@recipe
async def mailboxes_create(_: World) -> Request:
    return "/v1/mailboxes", MAILBOX


@recipe
async def mailboxes_import_many(_: World) -> Request:
    return "/v1/mailboxes/import", {"csv": "address,smtp_host,smtp_password\nada@acme.test,mail.acme.test,x"}


@recipe
async def mailboxes_update(world: World) -> Request:
    return await world.mailbox(), {"daily_cap": 40}


@recipe
async def mailboxes_delete(world: World) -> Request:
    return await world.mailbox(), None


@recipe
async def mailboxes_test(world: World) -> Request:
    return f"{await world.mailbox()}/test", None


@recipe
async def mailboxes_pause(world: World) -> Request:
    return f"{await world.mailbox()}/pause", None


@recipe
async def mailboxes_resume(world: World) -> Request:
    mailbox = await world.mailbox()
    await world.client.post(f"{mailbox}/pause")
    return f"{mailbox}/resume", None


@recipe
async def suppressions_create(_: World) -> Request:
    return "/v1/suppressions", {"address": "ada@example.com"}


@recipe
async def suppressions_batch(_: World) -> Request:
    return "/v1/suppressions/batch", {"suppressions": [{"address": "ada@example.com"}]}


@recipe
async def suppressions_check(world: World) -> Request:
    await world.suppression()
    return "/v1/suppressions/check", {"addresses": ["ada@example.com"]}


@recipe
async def suppressions_undo(world: World) -> Request:
    await world.suppression()
    body = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "reasons": ["manual"]}
    return "/v1/suppressions/undo", body


@recipe
async def suppressions_lift(world: World) -> Request:
    return await world.suppression(), None


@recipe
async def topics_create(_: World) -> Request:
    return "/v1/topics", {"list": "news", "name": "News"}


@recipe
async def topics_update(world: World) -> Request:
    return await world.topic(), {"name": "Other"}


@recipe
async def topics_delete(world: World) -> Request:
    return await world.topic(), None


@recipe
async def suppressions_restore(world: World) -> Request:
    return f"{await world.suppression(lifted=True)}/restore", None


@recipe
async def domains_create(_: World) -> Request:
    return "/v1/domains", {"name": "mail.acme.test"}


@recipe
async def domains_verify(world: World) -> Request:
    return f"{await world.domain()}/verify", None


@recipe
async def domains_update(world: World) -> Request:
    return await world.domain(), {"dmarc_policy": "reject"}


@recipe
async def domains_rotate_dkim(world: World) -> Request:
    return f"{await world.domain()}/dkim/rotate", None


@recipe
async def domains_add_report(world: World) -> Request:
    return f"{await world.domain()}/reports", {"content": b64encode(dmarc_report("acme.test", [])).decode()}


@recipe
async def domains_delete(world: World) -> Request:
    return await world.domain(), None


@recipe
async def api_keys_create(_: World) -> Request:
    return "/v1/api_keys", KEY


@recipe
async def api_keys_update(world: World) -> Request:
    return await world.key(), {"name": "new"}


@recipe
async def api_keys_revoke(world: World) -> Request:
    return await world.key(), None


@recipe
async def api_keys_rotate(world: World) -> Request:
    return f"{await world.key()}/rotate", {}


@recipe
async def api_keys_derive(world: World) -> Request:
    return f"{await world.key()}/derive", KEY


@recipe
async def organizations_update(world: World) -> Request:
    return "/v1/organization", {"name": "Another name"}


@recipe
async def workspaces_create(world: World) -> Request:
    return "/v1/workspaces", {"name": "North", "slug": "north"}


@recipe
async def workspaces_update(world: World) -> Request:
    return await world.workspace(), {"name": "South"}


@recipe
async def workspaces_archive(world: World) -> Request:
    return await world.workspace() + "/archive", None


@recipe
async def workspaces_restore(world: World) -> Request:
    path = await world.workspace()
    assert (await world.client.post(path + "/archive")).status_code == 200
    return path + "/restore", None


@recipe
async def workspaces_delete(world: World) -> Request:
    return await world.workspace(), None


@recipe
async def roles_create(world: World) -> Request:
    return "/v1/roles", {"name": "Readers", "scopes": ["emails:read"]}


@recipe
async def roles_update(world: World) -> Request:
    return await world.role(), {"name": "Watchers"}


@recipe
async def roles_delete(world: World) -> Request:
    return await world.role(), None


@recipe
async def oauth_apps_create(world: World) -> Request:
    return "/v1/oauth_apps", APP


@recipe
async def oauth_apps_update(world: World) -> Request:
    return await world.app(), {"name": "Billing"}


@recipe
async def oauth_apps_delete(world: World) -> Request:
    return await world.app(), None


@recipe
async def oauth_apps_rotate_secret(world: World) -> Request:
    return f"{await world.app()}/rotate_secret", {"overlap_seconds": 60}


@recipe
async def oauth_grants_revoke(world: World) -> Request:
    return await world.grant(), None


@recipe
async def sso_connections_create(world: World) -> Request:
    body = {"protocol": "oidc", "name": "Okta", "issuer": "https://login.acme.example", "client_id": "penguinmails"}
    return "/v1/sso_connections", body


@recipe
async def sso_connections_update(world: World) -> Request:
    return await world.connection(), {"name": "Azure"}


@recipe
async def lanes_pause(world: World) -> Request:
    return f"{await world.lane()}/pause", {"note": "later"}


@recipe
async def lanes_resume(world: World) -> Request:
    return f"{await world.lane(held=True)}/resume", None


@recipe
async def sso_connections_delete(world: World) -> Request:
    return await world.connection(), None


@recipe
async def sso_connections_verify(world: World) -> Request:
    return f"{await world.connection()}/verify", None


@recipe
async def sso_connections_test(world: World) -> Request:
    return f"{await world.connection()}/test", None


@recipe
async def sso_connections_create_scim_token(world: World) -> Request:
    return f"{await world.connection()}/scim_tokens", {"name": "Okta"}


@recipe
async def sso_connections_revoke_scim_token(world: World) -> Request:
    return await world.made(f"{await world.connection()}/scim_tokens", {"name": "Okta"}), None


DECLARED = {op["operationId"]: (path, op) for path, op in operations(*MUTATING)}
METHODS = {
    operation["operationId"]: method.upper()
    for entry in api().openapi()["paths"].values()
    for method, operation in entry.items()
}


async def snapshot(database: Database) -> dict[str, str]:
    """What every table holds. The log of requests is told about rehearsals too."""
    tables = await database.worker.fetch(
        "select schemaname || '.' || tablename as name from pg_tables where schemaname in ('public', 'content') "
        "and tablename not like 'alembic%' and tablename not like 'events_%' and tablename not like 'request_logs%'"
    )
    return {
        row["name"]: await database.worker.fetchval(
            f"select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {row['name']} t"
        )
        for row in tables
    }


@pytest.mark.parametrize("operation_id", sorted(RECIPES))
async def test_a_rehearsal_leaves_nothing(world: World, services: Services, operation_id: str) -> None:
    path, body = await RECIPES[operation_id](world)
    await services.doorbell.wait(MAIL, 0)
    await services.doorbell.wait(WEBHOOKS, 0)
    before = await snapshot(world.database)
    method = METHODS[operation_id]
    dry = await world.client.request(method, f"{path}?dry_run=true", json=body, idempotency_key="rehearsed")
    assert dry.status_code < 300, dry.text
    assert dry.headers["dry-run"] == "true"
    assert await snapshot(world.database) == before
    assert not await services.doorbell.wait(MAIL, 0)
    assert not await services.doorbell.wait(WEBHOOKS, 0)
    # The key was not used up, and the real thing gives the same kind of answer.
    real = await world.client.request(method, path, json=body, idempotency_key="rehearsed")
    assert real.status_code == dry.status_code, real.text
    assert "idempotency-replayed" not in real.headers
    assert "dry-run" not in real.headers
    if real.content:
        assert real.json().keys() == dry.json().keys()
    if operation_id not in ("suppressions_check", "webhook_endpoints_test_filter"):
        assert await snapshot(world.database) != before


ELSEWHERE: dict[str, str] = {
    "domains_apply_dns_records": "tests/api/v1/test_domain_hosts.py",  # it needs a name server
    "members_update": "tests/api/v1/test_members.py",
    "members_remove": "tests/api/v1/test_members.py",
    "invitations_create": "tests/api/v1/test_invitations.py",
    # They need mail, or a person in a browser: the matrix rehearses them as every role.
    "invitations_accept": "tests/api/test_role_matrix.py",
    "invitations_resend": "tests/api/test_role_matrix.py",
    "invitations_revoke": "tests/api/test_role_matrix.py",
    "organizations_create": "tests/api/v1/test_organizations.py",
    "organizations_leave": "tests/api/test_role_matrix.py",
    "organizations_transfer": "tests/api/test_role_matrix.py",
    # They need an owner's browser and an app that registered itself.
    "oauth_apps_approve": "tests/api/v1/test_oauth_apps.py",
    "oauth_apps_unapprove": "tests/api/v1/test_oauth_apps.py",
}
"""operationId -> the test that rehearses it."""


def test_every_operation_was_tried() -> None:
    """A new operation that changes something needs a recipe here, or an entry in `ELSEWHERE`."""
    assert set(DECLARED) - set(RECIPES) - set(ELSEWHERE) - set(NO_DRY_RUN) == set()
    assert set(RECIPES) | set(ELSEWHERE) <= set(DECLARED)


async def test_what_would_be_refused_is_refused(client: ApiClient, world: World) -> None:
    problem(await client.post("/v1/emails?dry_run=true", json=EMAIL), 403, "domain_not_verified")
    await world.domain()
    refused = await client.post("/v1/emails?dry_run=true", json={**EMAIL, "to": "nobody"})
    problem(refused, 422, "validation_failed")
    assert refused.headers["dry-run"] == "true"
    email = await world.email("delivered")
    problem(await client.post(f"{email}/cancel?dry_run=true"), 409, "conflict")
    await world.suppression()
    body = {"address": "ada@example.com"}
    problem(await client.post("/v1/suppressions?dry_run=true", json=body), 409, "conflict")


async def test_dry_run_is_true_or_false(client: ApiClient, world: World) -> None:
    await world.domain()
    for value in ("yes", "", "true&dry_run=true"):
        problem(await client.post(f"/v1/emails?dry_run={value}", json=EMAIL), 422, "validation_failed")
        problem(await client.post(f"/v1/webhook_endpoints?dry_run={value}", json={}), 422, "validation_failed")
    sent = await client.post("/v1/emails?dry_run=false", json=EMAIL)
    assert (sent.status_code, "dry-run" in sent.headers) == (202, False)


async def test_a_batch_is_rehearsed_message_by_message(client: ApiClient, world: World) -> None:
    await world.domain()
    body = {"emails": [EMAIL, {**EMAIL, "to": "nobody"}]}
    response = await client.post("/v1/emails/batch?partial=true&dry_run=true", json=body)
    assert response.status_code == 207
    assert (response.json()["accepted"], response.json()["failed"]) == (1, 1)
    assert (await client.get("/v1/emails")).json()["data"] == []


async def test_daily_caps_are_asked_and_not_spent(world: World) -> None:
    made = (await world.client.post("/v1/api_keys", json={**KEY, "max_sends_per_day": 2})).json()
    await world.domain()
    capped = world.client.as_(made["secret"])
    three = {**EMAIL, "to": ["a@example.com", "b@example.com", "c@example.com"]}
    for _ in range(3):
        assert (await capped.post("/v1/emails?dry_run=true", json=EMAIL)).status_code == 202
        problem(await capped.post("/v1/emails?dry_run=true", json=three), 403, "constraint_violated")
        both = {"emails": [EMAIL, three]}
        answer = (await capped.post("/v1/emails/batch?partial=true&dry_run=true", json=both)).json()
        assert (answer["accepted"], answer["failed"]) == (1, 1)
    assert (await capped.post("/v1/emails", json=EMAIL)).status_code == 202
    assert (await capped.post("/v1/emails", json=EMAIL)).status_code == 202
    assert (await capped.post("/v1/emails?dry_run=true", json=EMAIL)).status_code == 429
