"""What domains should publish, what DNS says, and the reports of receivers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "core_domain_dns"
down_revision = "core_destinations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now, moment = sa.text("now()"), sa.DateTime(timezone=True)
    op.add_column("domains", sa.Column("options", JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("domains", sa.Column("next_look_at", moment, server_default=now, nullable=False))
    op.add_column("domains", sa.Column("failing_since", moment, nullable=True))
    op.add_column("domains", sa.Column("grace_until", moment, nullable=True))
    op.create_index("ix_domains_next_look_at", "domains", ["next_look_at"])
    op.add_column("domain_keys", sa.Column("state", sa.Text(), server_default="active", nullable=False))
    op.add_column("domain_keys", sa.Column("state_at", moment, server_default=now, nullable=False))
    op.add_column("domain_keys", sa.Column("usable_at", moment, nullable=True))
    op.create_check_constraint(
        op.f("ck_domain_keys_state"), "domain_keys", "state in ('next', 'active', 'retiring', 'revoked')"
    )
    _reports()


def _reports() -> None:
    moment, columns = sa.DateTime(timezone=True), ["organization_id", "domain_id", "kind", "reporter", "report_id"]
    op.create_table(
        "domain_reports",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("domain_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("begins_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=False),
        sa.Column("rows", JSONB(), nullable=False),
        sa.Column("created_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind in ('dmarc', 'tls')", name=op.f("ck_domain_reports_kind")),
        sa.ForeignKeyConstraint(
            ["organization_id", "domain_id"],
            ["domains.organization_id", "domains.id"],
            name=op.f("fk_domain_reports_organization_id_domain_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_domain_reports")),
        sa.UniqueConstraint(
            *columns,
            "begins_at",
            name=op.f("uq_domain_reports_once"),
        ),
    )
    op.create_index("ix_domain_reports_created_at", "domain_reports", ["created_at"])


def downgrade() -> None:
    op.drop_table("domain_reports")
    for column in ("usable_at", "state_at", "state"):
        op.drop_column("domain_keys", column)
    for column in ("grace_until", "failing_since", "next_look_at", "options"):
        op.drop_column("domains", column)
