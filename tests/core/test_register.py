"""Row-level security: every table has it, and no repository of the `app` role sees another tenant."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import Base
from penguinmails_core.register import APP_ROLE, INGEST_ROLE, WORKER_ROLE, tables

TENANT_TABLES = [name for name, facts in tables().items() if facts.tenancy not in ("system", "reference")]
ALEMBIC = "alembic_version"  # closed to all three roles


async def _owner(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn)


def test_every_model_is_registered_with_its_facts() -> None:
    assert set(tables()) == set(Base.metadata.tables)
    for name, facts in tables().items():
        columns = {column.name for column in Base.metadata.tables[name].columns}
        assert set(facts.personal) <= columns, f"{name}: personal columns that do not exist"
        if facts.tenancy == "tenant":
            assert "organization_id" in columns, name
        assert facts.retention, name


async def test_no_table_is_without_forced_row_level_security(database_url: str) -> None:
    connection = await _owner(database_url)
    try:
        rows = await connection.fetch(
            """
            select n.nspname, c.relname, c.relrowsecurity and c.relforcerowsecurity as forced, c.relispartition,
              (select count(*) from pg_policy p where p.polrelid = c.oid) as policies
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and n.nspname in ('public', 'content')
            """
        )
    finally:
        await connection.close()
    found = {(r["relname"] if r["nspname"] == "public" else f"{r['nspname']}.{r['relname']}"): r for r in rows}
    unprotected = [name for name, row in found.items() if not row["forced"] and name != ALEMBIC]
    assert unprotected == []
    # A partition is reached through its parent; asked directly it has no policy, which means no rows.
    lonely = [
        name for name, row in found.items() if not row["policies"] and not row["relispartition"] and name != ALEMBIC
    ]
    assert lonely == []
    unregistered = [name for name, row in found.items() if not row["relispartition"]]
    assert set(unregistered) - {ALEMBIC} == set(tables())


async def test_a_new_table_without_facts_is_noticed(database_url: str) -> None:
    connection = await _owner(database_url)
    try:
        await connection.execute("create table forgotten (organization_id uuid)")
        with pytest.raises(AssertionError, match="forgotten"):
            await test_no_table_is_without_forced_row_level_security(database_url)
    finally:
        await connection.execute("drop table forgotten")
        await connection.close()


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_app_sees_and_touches_only_its_organization(database: Database, table: str) -> None:
    mine, theirs = new_uuid(), new_uuid()
    await _fill(database, table, mine)
    await _fill(database, table, theirs)
    async with database.tenant(mine) as session:
        rows = (await session.execute(text(f"select * from {table}"))).mappings().all()
        owner = "id" if table == "organizations" else "organization_id"
        assert len(rows) == 1, "the tenant sees exactly its own row"
        if table != "users":
            assert rows[0][owner] == mine
    async with database.tenant(new_uuid()) as session:
        assert (await session.execute(text(f"select count(*) from {table}"))).scalar_one() == 0


@pytest.mark.parametrize("table", [n for n, f in tables().items() if f.tenancy == "tenant" and "update" in f.app])
async def test_app_cannot_move_a_row_to_another_organization(database: Database, table: str) -> None:
    mine, theirs = new_uuid(), new_uuid()
    await _fill(database, table, mine)
    await _fill(database, table, theirs)
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.tenant(mine) as session:
            await session.execute(text(f"update {table} set organization_id = :theirs"), {"theirs": theirs})
    if "delete" in tables()[table].app:
        async with database.tenant(mine) as session:
            result = await session.execute(
                text(f"delete from {table} where organization_id = :theirs"), {"theirs": theirs}
            )
            assert result.rowcount == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", sorted(tables()))
async def test_without_an_organization_app_sees_nothing(database: Database, table: str) -> None:
    await _fill(database, table, new_uuid())
    async with database.engine.connect() as connection:
        if tables()[table].tenancy == "system":
            with pytest.raises(ProgrammingError, match="permission denied"):
                await connection.execute(text(f"select * from {table}"))
        elif tables()[table].tenancy == "reference":
            with pytest.raises(ProgrammingError, match="permission denied"):
                await connection.execute(text(f"delete from {table}"))
        else:
            assert (await connection.execute(text(f"select count(*) from {table}"))).scalar_one() == 0


async def test_ingest_cannot_read_mail(database: Database) -> None:
    for table in ("email_messages", "email_recipients", "events", "content.email_content", "domain_keys"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.ingest.fetch(f"select * from {table}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.ingest.fetch("select data from content.blobs")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.ingest.execute("update idempotency_keys set response = null")


async def test_partitions_are_closed_to_the_bound_roles(database: Database) -> None:
    partition = await database.worker.fetchval(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'events'::regclass limit 1"
    )
    async with database.engine.connect() as connection:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await connection.execute(text(f"select * from {partition}"))


async def test_roles_have_no_more_than_they_need(database_url: str) -> None:
    connection = await _owner(database_url)
    try:
        rows = await connection.fetch(
            "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcanlogin from pg_roles where rolname = any($1)",
            [APP_ROLE, INGEST_ROLE, WORKER_ROLE],
        )
    finally:
        await connection.close()
    assert len(rows) == 3
    for row in rows:
        assert not any(value for key, value in row.items() if key != "rolname"), row["rolname"]


async def _fill(database: Database, table: str, organization: object) -> None:
    """One row for the organization, with invented values for every column that needs one."""
    columns = [c for c in Base.metadata.tables[table].columns if not c.nullable and c.server_default is None]
    names, values = [], []
    for column in columns:
        names.append(column.name)
        values.append(_value(table, column.name, str(column.type), organization))
    placeholders = ", ".join(f"${i + 1}{_cast(str(c.type))}" for i, c in enumerate(columns))
    if table == "workspace_members":
        for parent, key in (("members", "member_id"), ("workspaces", "workspace_id")):
            await _fill(database, parent, organization)
            found = await database.worker.fetchval(f"select id from {parent} where organization_id = $1", organization)
            values[names.index(key)] = found
    statement = f"insert into {table} ({', '.join(names)}) values ({placeholders})"
    if table == "email_recipients":
        await _fill(database, "email_messages", organization)
        message = await database.worker.fetchval(
            "select id from email_messages where organization_id = $1", organization
        )
        values[names.index("message_id")] = message
    for child, key, parent in (
        ("tracked_links", "id", "email_messages"),
        ("tracking_hits", "recipient_id", "email_recipients"),
        ("domain_reports", "domain_id", "domains"),
        ("bounce_reports", "message_id", "email_messages"),
    ):
        if table == child:
            await _fill(database, parent, organization)
            found = await database.worker.fetchval(f"select id from {parent} where organization_id = $1", organization)
            values[names.index(key)] = found
    if "connection_id" in names and table != "sso_connections" and tables()[table].tenancy == "tenant":
        await _fill(database, "sso_connections", organization)
        values[names.index("connection_id")] = await database.worker.fetchval(
            "select id from sso_connections where organization_id = $1", organization
        )
    if table == "inbound_messages":
        await _fill(database, "inbound_sources", organization)
        values[names.index("source_id")] = await database.worker.fetchval(
            "select id from inbound_sources where organization_id = $1", organization
        )
    if table == "template_versions":
        await _fill(database, "templates", organization)
        values[names.index("template_id")] = await database.worker.fetchval(
            "select id from templates where organization_id = $1", organization
        )
    if "mailbox_id" in names:
        await _fill(database, "mailboxes", organization)
        values[names.index("mailbox_id")] = await database.worker.fetchval(
            "select id from mailboxes where organization_id = $1", organization
        )
    if table == "inbox_messages":
        await _fill(database, "inbox_threads", organization)
        values[names.index("thread_id")] = await database.worker.fetchval(
            "select id from inbox_threads where organization_id = $1", organization
        )
    for column in columns:  # a person must exist before what is theirs
        if any(key.target_fullname == "users.id" for key in column.foreign_keys):
            await database.worker.execute(
                "insert into users (id, email) values ($1, $1::uuid::text) on conflict do nothing",
                values[names.index(column.name)],
            )
    await database.worker.execute(statement, *values)
    if table == "users":
        await database.worker.execute(
            "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'owner')",
            organization,
            new_uuid(),
            values[names.index("id")],
        )


def _cast(kind: str) -> str:
    return {"JSONB": "::jsonb", "pg_snapshot": "::text::pg_snapshot"}.get(kind, "")


def _value(table: str, name: str, kind: str, organization: object) -> object:
    from penguinmails_core.kit.clock import utcnow

    known: dict[str, object] = {
        "mode": "live",
        "format": "html",
        "message_class": "campaign",
        "kind": "to",
        "algorithm": "rsa-sha256",
        "reason": "manual",
        "role": "owner",
        "encoding": "zstd",
        "disposition": "inline",
        "old": "1:1:",
        "state": "active",
        "purpose": "signup",
        "actor_kind": "system",
        "metric": "bounces",
        "rate": 0.9,
        "confidence": 0.5,
        "factor": 0.5,
        "plan": "starter",
        "auth": "password",
        "wanted": 0.5,
        "protocol": "oidc",
        "resource_type": "User",
    }
    if name == "organization_id" or (table == "organizations" and name == "id"):
        return organization
    if table == "bounce_reports" and name in ("kind", "effect"):
        return {"kind": "bounce", "effect": "bounced"}[name]
    if table == "tracking_hits" and name == "kind":
        return "open"
    if table == "domain_reports" and name == "kind":
        return "dmarc"
    if table == "workspace_members" and name == "role":
        return "viewer"
    if name in known:
        return known[name]
    match kind:
        case "UUID":
            return new_uuid()
        case "DATETIME":
            return utcnow()
        case "DATE":
            return utcnow().date()
        case "SMALLINT" | "INTEGER" | "BIGINT":
            return 1
        case "BLOB":
            return new_uuid().bytes
        case "JSONB":
            return {}
        case "BOOLEAN":
            return True
        case "ARRAY":
            return []
        case _:
            return str(new_uuid())
