"""Audit log and request log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_audit"
down_revision = "core_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.UUID(), nullable=True),
        sa.Column("actor_user_id", sa.UUID(), nullable=True),
        sa.Column("actor_label", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.UUID(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.Column("request_id", sa.UUID(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "actor_kind in ('user', 'api_key', 'oauth_app', 'system', 'operator')",
            name=op.f("ck_audit_logs_actor_kind"),
        ),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_audit_logs_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_audit_logs")),
        sa.UniqueConstraint("organization_id", "sequence", name=op.f("uq_audit_logs_organization_id_sequence")),
    )
    op.create_index("ix_audit_logs_resource", "audit_logs", ["organization_id", "resource_id", "id"])
    op.create_table(
        "audit_heads",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hash", sa.LargeBinary(), server_default=sa.text(r"'\x'::bytea"), nullable=False),
        sa.Column("anchor_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("anchor_hash", sa.LargeBinary(), server_default=sa.text(r"'\x'::bytea"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_audit_heads")),
    )


def downgrade() -> None:
    op.drop_table("audit_heads")
    op.drop_table("audit_logs")
