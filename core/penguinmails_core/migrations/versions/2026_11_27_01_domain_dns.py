"""What domains should publish, what DNS says, and the reports of receivers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_domain_dns"
down_revision = "core_destinations"
branch_labels = None
depends_on = None


_TABLE, _INDEX = "domains", "ix_domains_next_look_at"


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        _TABLE, sa.Column("next_look_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )
    op.create_index(_INDEX, _TABLE, ["next_look_at"], postgresql_where=sa.text("status = 'verified'"))


def downgrade() -> None:
    op.drop_index(_INDEX, _TABLE)
    for name in ("next_look_at", "failing_since"):
        op.drop_column(_TABLE, name)
