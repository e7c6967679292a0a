"""Bounces and complaints that come back by mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_bounce_intake"
down_revision = "core_domain_dns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bounce_reports",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("recipient_id", sa.UUID(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("enhanced_code", sa.Text(), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=True),
        sa.Column("reported_address", sa.Text(), nullable=True),
        sa.Column("remote_host", sa.Text(), nullable=True),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("suppressed", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "kind in ('bounce', 'delay', 'delivered', 'feedback', 'vacation', 'other')",
            name=op.f("ck_bounce_reports_kind"),
        ),
        sa.CheckConstraint(
            "effect in ('none', 'bounced', 'delayed', 'complained')", name=op.f("ck_bounce_reports_effect")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["email_messages.organization_id", "email_messages.id"],
            name=op.f("fk_bounce_reports_organization_id_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_bounce_reports")),
    )
    op.create_index(
        "uq_bounce_reports_digest", "bounce_reports", ["organization_id", "digest", "position"], unique=True
    )
    op.create_index("ix_bounce_reports_message", "bounce_reports", ["organization_id", "message_id"])
    op.create_table(
        "refused_reports",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("envelope_sender", sa.Text(), nullable=False),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("seen", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_reports")),
    )
    op.create_index("uq_refused_reports_digest", "refused_reports", ["digest"], unique=True)
    op.create_index("ix_refused_reports_received_at", "refused_reports", ["received_at"])


def downgrade() -> None:
    op.drop_table("refused_reports")
    op.drop_table("bounce_reports")
