"""What the platform's resources gained after the first cut: organizations, workspaces and people count their events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_platform"
down_revision = "core_sso"
branch_labels = None
depends_on = None

TELL = ("organizations", "workspaces", "members", "invitations")


def upgrade() -> None:
    for table in TELL:
        op.add_column(table, sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    for table in TELL:
        op.drop_column(table, "event_sequence")
