"""API keys with constraints and rotation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_api_keys"
down_revision = "core_sign_in"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("parent_id", sa.UUID()),
    ("created_by_user_id", sa.UUID()),
    ("created_by_key_id", sa.UUID()),
    ("allowed_mailboxes", postgresql.ARRAY(sa.Text())),
    ("allowed_domains", postgresql.ARRAY(sa.Text())),
    ("max_sends_per_day", sa.Integer()),
    ("expiry_noticed_at", sa.DateTime(timezone=True)),
    ("rotated_at", sa.DateTime(timezone=True)),
    ("previous_secret_expires_at", sa.DateTime(timezone=True)),
    ("last_used_ip", sa.Text()),
)


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("api_keys", sa.Column(name, kind, nullable=True))
    op.add_column("api_keys", sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_api_keys_max_sends_per_day"), "api_keys", "max_sends_per_day > 0")
    op.create_index(
        "ix_api_keys_parent_id",
        "api_keys",
        ["organization_id", "parent_id"],
        postgresql_where=sa.text("parent_id is not null"),
    )
    op.create_index(
        "ix_api_keys_expiring",
        "api_keys",
        ["expires_at"],
        postgresql_where=sa.text("revoked_at is null and expiry_noticed_at is null"),
    )
    op.create_table(
        "api_key_secrets",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("api_key_id", sa.UUID(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_api_key_secrets")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_key_secrets_hash")),
    )
    op.create_index("ix_api_key_secrets_api_key_id", "api_key_secrets", ["organization_id", "api_key_id"])
    op.create_table(
        "api_key_sends",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("api_key_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "api_key_id", "day", name=op.f("pk_api_key_sends")),
    )


def downgrade() -> None:
    op.drop_table("api_key_sends")
    op.drop_table("api_key_secrets")
    op.drop_index("ix_api_keys_expiring", "api_keys")
    op.drop_index("ix_api_keys_parent_id", "api_keys")
    op.drop_constraint(op.f("ck_api_keys_max_sends_per_day"), "api_keys")
    op.drop_column("api_keys", "event_sequence")
    for name, _ in reversed(_COLUMNS):
        op.drop_column("api_keys", name)
