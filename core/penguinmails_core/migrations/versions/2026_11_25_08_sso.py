"""Single sign-on and SCIM."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_sso"
down_revision = "core_resources"
branch_labels = None
depends_on = None

_TABLES = (
    "scim_resources",
    "scim_tokens",
    "sso_assertions",
    "sso_requests",
    "sso_identities",
    "sso_domains",
    "sso_connections",
)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=nullable)


def _uuid(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.UUID(), nullable=nullable)


def _octets(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _json(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, postgresql.JSONB(), server_default=sa.text(default) if default else None, nullable=nullable)


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _of_connection(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organization_id", "connection_id"],
        ["sso_connections.organization_id", "sso_connections.id"],
        name=op.f(f"fk_{table}_organization_id_connection_id"),
        ondelete="CASCADE",
    )


def _of_user(table: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id"), ondelete=ondelete)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def upgrade() -> None:
    _create_connections()
    _create_requests()
    _create_scim()


def _create_connections() -> None:
    op.create_table(
        "sso_connections",
        _uuid("organization_id"),
        _uuid("id"),
        _text("protocol"),
        _text("name"),
        _text("status", default="active"),
        _text("issuer"),
        _text("client_id", nullable=True),
        _octets("client_secret", nullable=True),
        _text("sso_url", nullable=True),
        sa.Column("certificates", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("enforced", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _text("default_role", default="member"),
        _json("group_roles", default="'{}'"),
        _moment("last_used_at", nullable=True),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint("protocol in ('oidc', 'saml')", name=op.f("ck_sso_connections_protocol")),
        sa.CheckConstraint("status in ('active', 'disabled')", name=op.f("ck_sso_connections_status")),
        _key("sso_connections", "organization_id", "id"),
        sa.UniqueConstraint("id", name=op.f("uq_sso_connections_id")),
    )
    op.create_table(
        "sso_domains",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("connection_id"),
        _text("name"),
        _text("token"),
        _moment("verified_at", nullable=True),
        _moment("created_at", now=True),
        _of_connection("sso_domains"),
        _key("sso_domains", "organization_id", "id"),
        sa.UniqueConstraint(
            "organization_id",
            "connection_id",
            "name",
            name=op.f("uq_sso_domains_organization_id_connection_id_name"),
        ),
    )
    op.create_index(
        "uq_sso_domains_proven",
        "sso_domains",
        ["name"],
        unique=True,
        postgresql_where=sa.text("verified_at is not null"),
    )
    op.create_table(
        "sso_identities",
        _uuid("organization_id"),
        _uuid("connection_id"),
        _text("subject"),
        _uuid("user_id"),
        sa.Column("linked", sa.Boolean(), nullable=False),
        _moment("created_at", now=True),
        _moment("last_used_at", nullable=True),
        _of_connection("sso_identities"),
        _of_user("sso_identities", "CASCADE"),
        _key("sso_identities", "organization_id", "connection_id", "subject"),
    )
    op.create_index("ix_sso_identities_user_id", "sso_identities", ["user_id"])


def _create_requests() -> None:
    op.create_table(
        "sso_requests",
        _octets("hash"),
        _uuid("connection_id"),
        _octets("browser"),
        _json("data"),
        _octets("code_hash", nullable=True),
        _json("result", nullable=True),
        _moment("expires_at"),
        _key("sso_requests", "hash"),
    )
    op.create_index("ix_sso_requests_expires_at", "sso_requests", ["expires_at"])
    op.create_index("uq_sso_requests_code_hash", "sso_requests", ["code_hash"], unique=True)
    op.create_table(
        "sso_assertions",
        _uuid("connection_id"),
        _octets("hash"),
        _moment("expires_at"),
        _key("sso_assertions", "connection_id", "hash"),
    )
    op.create_index("ix_sso_assertions_expires_at", "sso_assertions", ["expires_at"])


def _create_scim() -> None:
    op.create_table(
        "scim_tokens",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("connection_id"),
        _text("name"),
        _octets("hash"),
        _moment("expires_at", nullable=True),
        _moment("revoked_at", nullable=True),
        _moment("last_used_at", nullable=True),
        _moment("created_at", now=True),
        _of_connection("scim_tokens"),
        _key("scim_tokens", "organization_id", "id"),
        sa.UniqueConstraint("hash", name=op.f("uq_scim_tokens_hash")),
    )
    op.create_table(
        "scim_resources",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("connection_id"),
        _text("resource_type"),
        _text("unique_name", nullable=True),
        _text("external_id", nullable=True),
        _text("version"),
        _json("document"),
        _uuid("user_id", nullable=True),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint("resource_type in ('User', 'Group')", name=op.f("ck_scim_resources_resource_type")),
        _of_connection("scim_resources"),
        _of_user("scim_resources", "SET NULL"),
        _key("scim_resources", "organization_id", "id"),
        sa.UniqueConstraint(
            "organization_id",
            "connection_id",
            "resource_type",
            "unique_name",
            name=op.f("uq_scim_resources_unique_name"),
        ),
    )
    op.create_index(
        "ix_scim_resources_external_id", "scim_resources", ["organization_id", "connection_id", "external_id"]
    )
    op.create_index("ix_scim_resources_user_id", "scim_resources", ["organization_id", "user_id"])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
