"""Opens, clicks and unsubscribing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "core_tracking"
down_revision = "core_templates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = sa.Column("options", JSONB(), server_default=sa.text("'{}'"), nullable=False)
    op.add_column("email_messages", options)
    op.execute("alter type accept_message add attribute options text")
    _suppressions_by_scope()
    op.create_table(
        "topics",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("public", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_topics_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_topics")),
        sa.UniqueConstraint("organization_id", "mode", "list", name=op.f("uq_topics_organization_id_mode_list")),
    )
    op.create_table(
        "tracked_links",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("urls", ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "id"],
            ["email_messages.organization_id", "email_messages.id"],
            name=op.f("fk_tracked_links_organization_id_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_tracked_links")),
    )
    op.create_table(
        "tracking_hits",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("recipient_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("link", sa.SmallInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("prefetch", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.CheckConstraint("kind in ('open', 'click')", name=op.f("ck_tracking_hits_kind")),
        sa.CheckConstraint(
            "verdict in ('human', 'proxy', 'scanner', 'unknown')", name=op.f("ck_tracking_hits_verdict")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "recipient_id"],
            ["email_recipients.organization_id", "email_recipients.id"],
            name=op.f("fk_tracking_hits_organization_id_recipient_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_tracking_hits")),
    )
    op.create_index("ix_tracking_hits_recipient", "tracking_hits", ["organization_id", "recipient_id", "at"])
    op.create_index("ix_tracking_hits_at", "tracking_hits", ["at"])
    op.create_index("ix_tracking_hits_unjudged", "tracking_hits", ["at"], postgresql_where=sa.text("verdict is null"))


def _suppressions_by_scope() -> None:
    for name, default in (("scope", "organization"), ("scope_value", "")):
        op.add_column("suppressions", sa.Column(name, sa.Text(), server_default=default, nullable=False))
    op.create_check_constraint(
        op.f("ck_suppressions_scope"),
        "suppressions",
        "scope = 'organization' and scope_value = '' or scope in ('category', 'list') and scope_value <> ''",
    )
    _one_at_a_time("scope", "scope_value")


def _one_at_a_time(*scope: str) -> None:
    op.drop_index("uq_suppressions_active", "suppressions")
    op.create_index(
        "uq_suppressions_active",
        "suppressions",
        ["organization_id", "mode", "address", *scope],
        unique=True,
        postgresql_where=sa.text("lifted_at is null"),
    )


def downgrade() -> None:
    op.execute("delete from suppressions where scope <> 'organization'")
    _one_at_a_time()
    op.drop_constraint(op.f("ck_suppressions_scope"), "suppressions")
    op.drop_column("suppressions", "scope_value")
    op.drop_column("suppressions", "scope")
    op.drop_table("topics")
    op.drop_table("tracking_hits")
    op.drop_table("tracked_links")
    op.execute("alter type accept_message drop attribute options")
    op.drop_column("email_messages", "options")
