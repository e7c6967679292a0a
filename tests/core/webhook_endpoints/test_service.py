"""Rules of webhook endpoints that are not about HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from penguinmails_core.errors import Conflict, FieldError, NotFound
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import WebhookEndpoint
from penguinmails_core.principal import Principal
from penguinmails_core.webhook_endpoints import repository
from penguinmails_core.webhook_endpoints.consumers import MAX_ENDPOINTS
from penguinmails_core.webhook_endpoints.secrets import SigningSecret
from penguinmails_core.webhook_endpoints.service import (
    EndpointRules,
    WebhookEndpoints,
    secret_context,
)
from tests.fixtures.factories import Tenant, make_event, make_tenant, make_workspace

BOX = SecretBox([b"k" * 32])
URL = "https://hooks.example.com/in"


def check_events(patterns: Sequence[str]) -> tuple[list[str], Sequence[FieldError]]:
    return list(patterns), ()


def new_secret(signature: str) -> SigningSecret:
    return SigningSecret("whsec_" + new_uuid().hex, signature, None)


RULES = EndpointRules(check_events, lambda given: (), new_secret, new_secret, 1, False, lambda *given: ())
SERVICE = WebhookEndpoints(BOX, RULES)


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


async def create(database: Database, principal: Principal) -> WebhookEndpoint:
    async with database.tenant(principal.organization_id) as session:
        endpoint, _ = await SERVICE.create(session, principal, url=URL, events=["*"])
    return endpoint


async def owe(database: Database, endpoint: WebhookEndpoint) -> None:
    """A delivery that waits."""
    async with database.worker.acquire() as connection, connection.transaction():
        event = await make_event(connection, endpoint.organization_id, None, new_uuid(), {})
        await connection.execute(
            "insert into webhook_deliveries "
            "(organization_id, id, endpoint_id, event_id, event_created_at, event_type, due_at) "
            "values ($1, $2, $3, $4, now(), 'email.queued', now())",
            endpoint.organization_id,
            new_uuid(),
            endpoint.id,
            event,
        )


async def test_a_sealed_secret_opens_for_its_own_endpoint_only(database: Database, tenant: Tenant) -> None:
    principal = tenant.principal()
    async with database.tenant(tenant.id) as session:
        endpoint, secret = await SERVICE.create(session, principal, url=URL, events=["*"])
    assert BOX.open(endpoint.secret, secret_context(endpoint.id)).decode() == secret
    with pytest.raises(CryptoError):
        BOX.open(endpoint.secret, secret_context(new_uuid()))


async def test_the_limit_holds_for_simultaneous_callers(database: Database, tenant: Tenant) -> None:
    principal = tenant.principal()
    for _ in range(MAX_ENDPOINTS - 1):
        await create(database, principal)
    test_mode = tenant.principal("test")
    results = await asyncio.gather(
        *(create(database, each) for each in (principal, test_mode, principal)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 2
    assert sum(isinstance(result, WebhookEndpoint) for result in results) == 1


async def test_a_workspace_key_makes_and_sees_its_own(database: Database, tenant: Tenant) -> None:
    brand, rival = [await make_workspace(database, tenant.id, slug) for slug in ("brand", "rival")]
    bound, other, whole = (
        tenant.principal(workspace_id=brand),
        tenant.principal(workspace_id=rival),
        tenant.principal(),
    )
    own = await create(database, bound)
    wide = await create(database, whole)
    assert (own.workspace_id, wide.workspace_id) == (brand, None)
    async with database.tenant(tenant.id) as session:
        seen = {
            who: {endpoint.id for endpoint in (await SERVICE.list_endpoints(session, principal, limit=10))[0]}
            for who, principal in (("bound", bound), ("other", other), ("whole", whole))
        }
        assert seen == {"bound": {own.id}, "other": set(), "whole": {own.id, wide.id}}
        for endpoint_id, principal in ((own.id, other), (wide.id, bound)):
            with pytest.raises(NotFound):
                await SERVICE.get(session, principal, endpoint_id)


async def test_row_level_security_backs_the_filters(database: Database, tenant: Tenant) -> None:
    """A caller whose session is bound to one organization and whose principal claims another one."""
    stranger = await make_tenant(database, "Umbrella")
    endpoint = await create(database, tenant.principal())
    await owe(database, endpoint)
    async with database.tenant(stranger.id) as session:
        assert await repository.get(session, tenant.principal(), endpoint.id) is None
        assert await repository.list_deliveries(session, endpoint, (), limit=10, after=None, before=None) == []
        await repository.cancel_deliveries(session, endpoint, "stolen")
    assert await database.worker.fetchval("select status from webhook_deliveries") == "pending"


async def test_a_foreign_delivery_cannot_be_written(database: Database, tenant: Tenant) -> None:
    stranger = await make_tenant(database, "Umbrella")
    endpoint = await create(database, tenant.principal())

    async def write() -> None:
        async with database.tenant(stranger.id) as session:
            await repository.owe(session, endpoint, new_uuid(), new_uuid(), "webhook.test")

    with pytest.raises(DBAPIError, match="row-level security"):
        await write()


async def test_a_tenant_cannot_touch_the_attempts(database: Database, tenant: Tenant) -> None:
    async def write() -> None:
        async with database.tenant(tenant.id) as session:
            await session.execute(text("delete from webhook_attempts"))

    with pytest.raises(DBAPIError, match="permission denied"):
        await write()


async def test_a_failed_work_leaves_nothing(database: Database, tenant: Tenant) -> None:
    """The delivery of a test event and the event are one transaction with the caller's."""
    endpoint = await create(database, tenant.principal())

    async def fail() -> None:
        async with database.tenant(tenant.id) as session:
            await SERVICE.send_test(session, tenant.principal(), endpoint.id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    counts = "select (select count(*) from events), (select count(*) from webhook_deliveries)"
    assert tuple(await database.worker.fetchrow(counts)) == (1, 0)  # that it was made


async def test_test_events_count_on(database: Database, tenant: Tenant) -> None:
    endpoint = await create(database, tenant.principal())
    for _ in range(3):
        async with database.tenant(tenant.id) as session:
            await SERVICE.send_test(session, tenant.principal(), endpoint.id)
    rows = await database.worker.fetch("select sequence, resource_id from events order by sequence")
    assert [(row["sequence"], row["resource_id"]) for row in rows] == [(n, endpoint.id) for n in (1, 2, 3, 4)]
    joined = (
        "select count(*) from webhook_deliveries d join events e "
        "on e.organization_id = d.organization_id and e.id = d.event_id and e.created_at = d.event_created_at"
    )
    assert await database.worker.fetchval(joined) == 3


async def test_resend_needs_the_event(database: Database, tenant: Tenant) -> None:
    principal = tenant.principal()
    endpoint = await create(database, principal)
    await owe(database, endpoint)
    await database.worker.execute("delete from events")
    delivery_id = await database.worker.fetchval("select id from webhook_deliveries")
    async with database.tenant(tenant.id) as session:
        with pytest.raises(Conflict):
            await SERVICE.resend(session, principal, endpoint.id, delivery_id)
        with pytest.raises(NotFound):
            await SERVICE.resend(session, replace(principal, mode="test"), endpoint.id, delivery_id)


async def test_a_new_url_forgets_failures(database: Database, tenant: Tenant) -> None:
    principal = tenant.principal()
    endpoint = await create(database, principal)
    for changes, forgotten in (({"description": "x"}, False), ({"url": URL + "/new"}, True)):
        await database.worker.execute("update webhook_endpoints set failing_since = now()")
        async with database.tenant(tenant.id) as session:
            changed = await SERVICE.update(session, principal, endpoint.id, changes)
        assert (changed.failing_since is None) is forgotten
