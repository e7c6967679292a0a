"""Entries are written with the change, in line, by whoever acts, and never hold a secret."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import ORIGIN, Actor, Resource
from penguinmails_core.audit.masking import REDACTED, differences, mask_text, masked
from penguinmails_core.audit.verification import verify
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.principal import Principal, PrincipalKind
from tests.fixtures.factories import Tenant, make_tenant


@dataclass(frozen=True)
class Request:
    request_id: str
    client_address: str
    user_agent: str | None


async def entries(database: Database, organization_id: UUID) -> list[Any]:
    query = "select * from audit_logs where organization_id = $1 order by sequence"
    return list(await database.worker.fetch(query, organization_id))


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


async def test_the_operators_own_changes_are_written(database: Database, tenant: Tenant) -> None:
    rows = await entries(database, tenant.id)
    assert (rows[0]["sequence"], rows[0]["action"]) == (1, "organization.created")
    assert (rows[0]["actor_kind"], rows[0]["resource_type"]) == ("operator", "organization")
    assert (rows[0]["resource_id"], rows[0]["after"]) == (tenant.id, {"name": "Acme"})
    assert "@" in rows[0]["actor_label"]


async def test_an_entry_goes_with_its_change(database: Database, tenant: Tenant) -> None:
    resource = Resource(Prefix.API_KEY, tenant.live_key.id)
    async with database.tenant(tenant.id) as session:
        await audit.record(session, Actor.of(tenant.principal()), "api_key.updated", resource)
        await session.rollback()
    assert "api_key.updated" not in [row["action"] for row in await entries(database, tenant.id)]
    assert (await verify(database, tenant.id)).broken is None


async def test_many_at_once_make_one_chain(database: Database, tenant: Tenant) -> None:
    before = len(await entries(database, tenant.id))

    async def one(number: int) -> None:
        async with database.tenant(tenant.id) as session:
            resource = Resource(Prefix.DOMAIN, new_uuid())
            await audit.record(session, tenant.principal(), "domain.created", resource, after={"number": number})

    await asyncio.gather(*(one(number) for number in range(12)))
    verdict = await verify(database, tenant.id)
    assert (verdict.broken, verdict.entries) == (None, before + 12)


async def test_the_first_entries_at_once(database: Database, tenant: Tenant) -> None:
    organization_id = new_uuid()

    async def one() -> None:
        async with database.worker.acquire() as connection, connection.transaction():
            resource = Resource(Prefix.ORGANIZATION, organization_id)
            await audit.record_on(connection, Actor.system(organization_id, "test"), "organization.created", resource)

    await asyncio.gather(*(one() for _ in range(4)))
    verdict = await verify(database, organization_id)
    assert (verdict.broken, verdict.entries) == (None, 4)


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (PrincipalKind.API_KEY, ("api_key", "key", None, "live")),
        (PrincipalKind.SESSION, ("user", "user", None, "ada@acme.test")),
        (PrincipalKind.OAUTH, ("oauth_app", "app", "user", None)),
    ],
)
async def test_the_actor_is_named(
    database: Database, tenant: Tenant, principal: PrincipalKind, expected: tuple[str, str, str | None, str | None]
) -> None:
    user_id, app_id = new_uuid(), new_uuid()
    await database.worker.execute("insert into users (id, email) values ($1, 'ada@acme.test')", user_id)
    await database.worker.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'owner')",
        tenant.id,
        new_uuid(),
        user_id,
    )
    known: dict[str | None, UUID | None] = {"key": tenant.live_key.id, "user": user_id, "app": app_id, None: None}
    is_key = principal is PrincipalKind.API_KEY
    caller = Principal(
        tenant.live_key.id if is_key else new_uuid(),
        tenant.id,
        None,
        tenant.workspace_id,
        "live",
        frozenset(),
        principal,
        user_id=None if is_key else user_id,
        app_id=app_id if principal is PrincipalKind.OAUTH else None,
    )
    token = ORIGIN.set(Request("req_01kaz6yzwhe1xrqm3c8s4q3m8r", "192.0.2.1", "x" * 1000))
    try:
        async with database.tenant(tenant.id) as session:
            await audit.record(session, caller, "domain.created", Resource(Prefix.DOMAIN, new_uuid()))
    finally:
        ORIGIN.reset(token)
    row = (await entries(database, tenant.id))[-1]
    kind, actor_id, person, label = expected
    assert (row["actor_kind"], row["actor_id"]) == (kind, known[actor_id])
    assert (row["actor_user_id"], row["actor_label"]) == (known[person], label)
    assert (row["ip"], len(row["user_agent"])) == ("192.0.2.1", 300)
    assert row["request_id"] is not None


async def test_append_only_for_everybody_who_serves(database: Database, tenant: Tenant) -> None:
    for statement in ("update audit_logs set action = 'a.b'", "delete from audit_logs", "delete from audit_heads"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with database.tenant(tenant.id) as session:
                await session.execute(text(statement))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.ingest.execute(statement)
    for statement in ("update audit_logs set action = 'a.b'", "truncate audit_logs", "delete from audit_heads"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.worker.execute(statement)


async def test_an_action_has_a_form(database: Database, tenant: Tenant) -> None:
    async with database.tenant(tenant.id) as session:
        with pytest.raises(ValueError, match="lower case"):
            await audit.record(session, Actor.operator(tenant.id), "Created key", Resource(Prefix.API_KEY, new_uuid()))


def test_secrets_are_masked_by_name_and_by_look() -> None:
    plain = {
        "name": "Orders",
        "secret": "abc",
        "client_secret_hash": b"\0",
        "password": None,
        "otp_enabled": True,
        "token_endpoint_auth_method": "none",
        "secret_expires_at": datetime(2026, 1, 2, tzinfo=UTC),
        "note": "my key is pm_live_abcDEF123 and eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.sig, hook whsec_MfKQ9r8G/+=",
        "nested": [{"api_key": "x", "scopes": ["emails:read"]}],
        "blob": b"raw",
    }
    found = masked(plain)
    assert found is not None
    assert found["name"] == "Orders"
    assert found["secret"] == found["client_secret_hash"] == found["blob"] == REDACTED
    assert found["password"] is None
    assert found["otp_enabled"] is True
    assert found["token_endpoint_auth_method"] == "none"
    assert found["secret_expires_at"] == "2026-01-02T00:00:00.000Z"
    assert found["note"] == f"my key is {REDACTED} and {REDACTED}, hook {REDACTED}"
    assert found["nested"] == [{"api_key": REDACTED, "scopes": ["emails:read"]}]


def test_a_changed_secret_shows_as_changed_and_no_more() -> None:
    before, after = differences({"secret": "a", "url": "x", "same": 1}, {"secret": "b", "url": "y", "same": 1})
    assert (before, after) == ({"secret": REDACTED, "url": "x"}, {"secret": REDACTED, "url": "y"})


def test_a_private_key_in_a_text_is_masked() -> None:
    text_ = "before -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after"
    assert mask_text(text_) == f"before {REDACTED} after"


@pytest.mark.parametrize(
    "value",
    [1.0, 0.1, 1e-7, 1e22, -0.0, float("nan"), float("inf"), 2**70, -(2**62), "a\0b", "\ud800", "é\u2028", {"": []}],
    ids=repr,
)
async def test_what_is_stored_hashes_as_it_was_written(database: Database, tenant: Tenant, value: Any) -> None:
    resource = Resource(Prefix.DOMAIN, new_uuid())
    async with database.tenant(tenant.id) as session:
        await audit.record(session, Actor.operator(tenant.id), "domain.updated", resource, after={"value": value})
    assert (await verify(database, tenant.id)).broken is None
