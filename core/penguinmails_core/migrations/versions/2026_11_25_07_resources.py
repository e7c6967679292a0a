"""Domains, suppressions and what REST adds to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_resources"
down_revision = "core_audit"
branch_labels = None
depends_on = None

_LIVE = sa.text("lifted_at is null")


def upgrade() -> None:
    op.add_column("suppressions", sa.Column("mode", sa.Text(), server_default="live", nullable=False))
    op.add_column("suppressions", sa.Column("workspace_id", sa.UUID(), nullable=True))
    for name in ("note", "created_by", "lifted_by"):
        op.add_column("suppressions", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("suppressions", sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_suppressions_mode"), "suppressions", "mode in ('live', 'test')")
    op.drop_index("uq_suppressions_active", "suppressions")
    op.create_index(
        "uq_suppressions_active",
        "suppressions",
        ["organization_id", "mode", "address"],
        unique=True,
        postgresql_where=_LIVE,
    )
    op.create_index("ix_suppressions_address", "suppressions", ["organization_id", "address"])
    for name in ("lifted_at", "expires_at"):
        ended = sa.text(f"{name} is not null")
        op.create_index(f"ix_suppressions_{name}", "suppressions", [name], postgresql_where=ended)

    op.add_column("domains", sa.Column("observed", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("domains", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("domains", sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    for name in ("event_sequence", "checked_at", "observed"):
        op.drop_column("domains", name)
    for name in ("lifted_at", "expires_at"):
        op.drop_index(f"ix_suppressions_{name}", "suppressions")
    op.drop_index("ix_suppressions_address", "suppressions")
    op.drop_index("uq_suppressions_active", "suppressions")
    # The older index knows no modes: what tests have suppressed goes.
    op.execute("delete from suppressions where mode = 'test'")
    op.create_index(
        "uq_suppressions_active", "suppressions", ["organization_id", "address"], unique=True, postgresql_where=_LIVE
    )
    for name in ("event_sequence", "lifted_by", "created_by", "note", "workspace_id", "mode"):
        op.drop_column("suppressions", name)
