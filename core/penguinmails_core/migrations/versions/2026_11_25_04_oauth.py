"""The OAuth2 and OpenID server: apps, grants, tokens, devices, signing keys."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_oauth"
down_revision = "core_api_keys"
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _texts(name: str) -> sa.Column[Any]:
    return sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)


def _oauth_approvals() -> None:
    op.create_table(
        "oauth_approvals",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("approved_by", sa.UUID(), nullable=True),
        _moment("created_at", now=True),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_oauth_approvals")),
    )


def _oauth_apps() -> None:
    op.create_table(
        "oauth_apps",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), server_default="organization", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("confidential", sa.Boolean(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=True),
        sa.Column("secret_hint", sa.Text(), nullable=True),
        sa.Column("previous_secret_hash", sa.LargeBinary(), nullable=True),
        _moment("previous_secret_expires_at", nullable=True),
        _texts("redirect_uris"),
        _texts("grant_types"),
        _texts("scopes"),
        _texts("requested_scopes"),
        sa.Column("client_uri", sa.Text(), nullable=True),
        sa.Column("policy_uri", sa.Text(), nullable=True),
        sa.Column("tos_uri", sa.Text(), nullable=True),
        _texts("contacts"),
        sa.Column("software_id", sa.Text(), nullable=True),
        sa.Column("software_version", sa.Text(), nullable=True),
        sa.Column("id_token_alg", sa.Text(), server_default="RS256", nullable=False),
        sa.Column("dpop_bound", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("registration_hash", sa.LargeBinary(), nullable=True),
        sa.Column("created_by", sa.UUID(), nullable=True),
        _moment("last_used_at", nullable=True),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint("id_token_alg in ('RS256', 'ES256')", name=op.f("ck_oauth_apps_id_token_alg")),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_oauth_apps_mode")),
        sa.CheckConstraint("origin in ('organization', 'dynamic')", name=op.f("ck_oauth_apps_origin")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_oauth_apps")),
    )
    op.create_index("uq_oauth_apps_id", "oauth_apps", ["id"], unique=True)


def _oauth_codes() -> None:
    op.create_table(
        "oauth_codes",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("grant_id", sa.UUID(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=True),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_oauth_codes")),
    )
    op.create_index("ix_oauth_codes_expires_at", "oauth_codes", ["expires_at"], unique=False)


def _oauth_devices() -> None:
    op.create_table(
        "oauth_devices",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_code", sa.Text(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        _texts("scopes"),
        _texts("resources"),
        sa.Column("jkt", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=True),
        sa.Column("grant_id", sa.UUID(), nullable=True),
        sa.Column("interval", sa.SmallInteger(), server_default=sa.text("5"), nullable=False),
        _moment("last_polled_at", nullable=True),
        _moment("expires_at"),
        sa.CheckConstraint("status in ('pending', 'approved', 'denied', 'used')", name=op.f("ck_oauth_devices_status")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_oauth_devices")),
    )
    op.create_index("ix_oauth_devices_expires_at", "oauth_devices", ["expires_at"], unique=False)
    op.create_index("uq_oauth_devices_user_code", "oauth_devices", ["user_code"], unique=True)


def _oauth_grants() -> None:
    op.create_table(
        "oauth_grants",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("app_name", sa.Text(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=True),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), server_default="authorization_code", nullable=False),
        _texts("scopes"),
        _texts("resources"),
        sa.Column("jkt", sa.Text(), nullable=True),
        _moment("auth_time", nullable=True),
        _texts("amr"),
        _moment("created_at", now=True),
        _moment("activated_at", nullable=True),
        _moment("last_used_at", nullable=True),
        _moment("revoked_at", nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "flow in ('authorization_code', 'device_code', 'client_credentials')", name=op.f("ck_oauth_grants_flow")
        ),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_oauth_grants_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_oauth_grants")),
    )
    op.create_index("ix_oauth_grants_app", "oauth_grants", ["app_id"], unique=False)
    op.create_index("ix_oauth_grants_user", "oauth_grants", ["user_id"], unique=False)
    op.create_index(
        "uq_oauth_grants_client_credentials",
        "oauth_grants",
        ["organization_id", "app_id"],
        unique=True,
        postgresql_where=sa.text("flow = 'client_credentials' and revoked_at is null"),
    )


def _oauth_interactions() -> None:
    op.create_table(
        "oauth_interactions",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("session_id", sa.UUID(), nullable=True),
        _moment("created_at", now=True),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_oauth_interactions")),
    )
    op.create_index("ix_oauth_interactions_expires_at", "oauth_interactions", ["expires_at"], unique=False)


def _oauth_proofs() -> None:
    op.create_table(
        "oauth_proofs",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_oauth_proofs")),
    )
    op.create_index("ix_oauth_proofs_expires_at", "oauth_proofs", ["expires_at"], unique=False)


def _oauth_pushed_requests() -> None:
    op.create_table(
        "oauth_pushed_requests",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("app_id", sa.UUID(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_oauth_pushed_requests")),
    )
    op.create_index("ix_oauth_pushed_requests_expires_at", "oauth_pushed_requests", ["expires_at"], unique=False)


def _oauth_refresh_tokens() -> None:
    op.create_table(
        "oauth_refresh_tokens",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("grant_id", sa.UUID(), nullable=False),
        _moment("created_at", now=True),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_oauth_refresh_tokens")),
    )
    op.create_index("ix_oauth_refresh_tokens_expires_at", "oauth_refresh_tokens", ["expires_at"], unique=False)
    op.create_index(
        "ix_oauth_refresh_tokens_grant", "oauth_refresh_tokens", ["organization_id", "grant_id"], unique=False
    )


def _oauth_revoked_tokens() -> None:
    op.create_table(
        "oauth_revoked_tokens",
        sa.Column("jti", sa.UUID(), nullable=False),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_oauth_revoked_tokens")),
    )
    op.create_index("ix_oauth_revoked_tokens_expires_at", "oauth_revoked_tokens", ["expires_at"], unique=False)


def _oauth_signing_keys() -> None:
    op.create_table(
        "oauth_signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("alg", sa.Text(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        _moment("created_at", now=True),
        _moment("signs_from"),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_oauth_signing_keys")),
    )


_TABLES = {
    "oauth_approvals": _oauth_approvals,
    "oauth_apps": _oauth_apps,
    "oauth_codes": _oauth_codes,
    "oauth_devices": _oauth_devices,
    "oauth_grants": _oauth_grants,
    "oauth_interactions": _oauth_interactions,
    "oauth_proofs": _oauth_proofs,
    "oauth_pushed_requests": _oauth_pushed_requests,
    "oauth_refresh_tokens": _oauth_refresh_tokens,
    "oauth_revoked_tokens": _oauth_revoked_tokens,
    "oauth_signing_keys": _oauth_signing_keys,
}


def upgrade() -> None:
    for create in _TABLES.values():
        create()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
