"""The table register: every table with its tenancy, personal columns and retention, and the security made from it.

`security_statements()` yields the complete row-level security of the schema: three roles, grants, `ENABLE` and `FORCE`,
and one policy per role and table. It runs after every migration and is idempotent, so a table that is in the register
is protected, and a table that is not is a red test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from sqlalchemy import Table

from penguinmails_core.models import Base, TableFacts

APP_ROLE = "penguinmails_app"  # bound to one organization per transaction
INGEST_ROLE = "penguinmails_ingest"  # inserts on the accept path; a group commit may span organizations
WORKER_ROLE = "penguinmails_worker"  # the system: sender, webhooks, collectors
ROLES = (APP_ROLE, INGEST_ROLE, WORKER_ROLE)

VIEWS = {"content": ("content.blob_references",)}  # views run with the rights of the asking role

# They run with the rights of the owner; PostgreSQL would let every role call them.
FUNCTIONS = {
    "public": (
        "ensure_event_partitions(integer)",
        "drop_event_partitions(interval)",
        "ensure_request_log_partitions(integer)",
        "drop_request_log_partitions(interval)",
    )
}

# A setting that was never set reads as null, one left over from `SET LOCAL` as '': both mean "no rows".
ORGANIZATION = "nullif(current_setting('app.organization_id', true), '')::uuid"


def tables(schema: str | None = None) -> dict[str, TableFacts]:
    """Every registered table by its qualified name (``"content.blobs"``, ``"events"``), optionally of one schema
    (``"public"`` or ``"content"``)."""
    found = {}
    for mapper in Base.registry.mappers:
        table = cast(Table, mapper.local_table)
        name = table.fullname
        if schema is None or (table.schema or "public") == schema:
            found[name] = mapper.class_.facts
    return dict(sorted(found.items()))


def _predicate(facts: TableFacts) -> str | None:
    match facts.tenancy:
        case "tenant":
            return f"organization_id = {ORGANIZATION}"
        case "organization":
            return f"id = {ORGANIZATION}"
        case "shared":
            return facts.policy.format(organization=ORGANIZATION)
        case "reference":
            return facts.policy.format(organization=ORGANIZATION) or "true"
        case _:
            return None


def role_statements() -> Iterator[str]:
    """Roles are shared by the whole server, so two migrations may race to create them."""
    for role in ROLES:
        yield (
            f"do $$ begin create role {role} nologin; "
            "exception when duplicate_object or unique_violation then null; end $$"
        )
        yield (
            f"do $$ begin if not pg_has_role(current_user, '{role}', 'member') then "
            f"execute 'grant {role} to ' || quote_ident(current_user); end if; end $$"
        )


def security_statements(schema: str) -> Iterator[str]:
    """DDL for one schema; see the module docstring."""
    yield from role_statements()
    yield f"grant usage on schema {schema} to {', '.join(ROLES)}"
    for table, facts in tables(schema).items():
        yield f"alter table {table} enable row level security"
        yield f"alter table {table} force row level security"
        for role in ROLES:
            yield f"drop policy if exists {role} on {table}"
        yield f"revoke all on {table} from {', '.join(ROLES)}"
        yield f"grant {', '.join(facts.worker)} on {table} to {WORKER_ROLE}"
        yield f"create policy {WORKER_ROLE} on {table} to {WORKER_ROLE} using (true) with check (true)"
        predicate = _predicate(facts)
        if predicate and facts.app:
            yield f"grant {', '.join(facts.app)} on {table} to {APP_ROLE}"
            yield f"create policy {APP_ROLE} on {table} to {APP_ROLE} using ({predicate}) with check ({predicate})"
        if facts.ingest:
            yield f"grant {', '.join(facts.ingest)} on {table} to {INGEST_ROLE}"
            yield f"create policy {INGEST_ROLE} on {table} to {INGEST_ROLE} using (true) with check (true)"
    for function in FUNCTIONS.get(schema, ()):
        yield f"revoke all on function {function} from public"
        yield f"grant execute on function {function} to {WORKER_ROLE}"
    for view in VIEWS.get(schema, ()):
        yield f"grant select on {view} to {APP_ROLE}, {WORKER_ROLE}"
