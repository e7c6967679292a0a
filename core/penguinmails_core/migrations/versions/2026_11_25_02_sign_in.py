"""How people sign in: credentials, passkeys, sessions, one-time links."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_sign_in"
down_revision = "core_tenancy"
branch_labels = None
depends_on = None

_TABLES = (
    "identity_links",
    "passkeys",
    "recovery_codes",
    "user_credentials",
    "user_sessions",
    "webauthn_challenges",
)


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id"), ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "user_credentials",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        _moment("password_changed_at", nullable=True),
        _moment("email_verified_at", nullable=True),
        sa.Column("totp_secret", sa.LargeBinary(), nullable=True),
        _moment("totp_confirmed_at", nullable=True),
        sa.Column("totp_last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("webauthn_handle", sa.LargeBinary(), nullable=False),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        _of_user("user_credentials"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_credentials")),
        sa.UniqueConstraint("webauthn_handle", name=op.f("uq_user_credentials_webauthn_handle")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _moment("created_at", now=True),
        _of_user("recovery_codes"),
        sa.PrimaryKeyConstraint("user_id", "hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        _moment("created_at", now=True),
        _moment("last_used_at", nullable=True),
        _of_user("passkeys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])
    _create_short_lived()


def _create_short_lived() -> None:
    op.create_table(
        "webauthn_challenges",
        sa.Column("browser", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("browser", "purpose", name=op.f("pk_webauthn_challenges")),
    )
    op.create_index("ix_webauthn_challenges_expires_at", "webauthn_challenges", ["expires_at"])
    op.create_table(
        "user_sessions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=True),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amr", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        _moment("auth_time"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        _moment("created_at", now=True),
        _moment("last_seen_at", now=True),
        _moment("expires_at"),
        sa.CheckConstraint("state in ('pending', 'active')", name=op.f("ck_user_sessions_state")),
        _of_user("user_sessions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("hash", name=op.f("uq_user_sessions_hash")),
    )
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["user_id"])
    op.create_index("ix_user_sessions_expires_at", "user_sessions", ["expires_at"])
    op.create_table(
        "identity_links",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        _moment("created_at", now=True),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.CheckConstraint("purpose in ('signup', 'reset', 'email')", name=op.f("ck_identity_links_purpose")),
        _of_user("identity_links"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_identity_links")),
    )
    op.create_index("ix_identity_links_user_id", "identity_links", ["user_id"])
    op.create_index("ix_identity_links_expires_at", "identity_links", ["expires_at"])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
