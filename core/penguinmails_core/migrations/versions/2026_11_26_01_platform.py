"""What the platform's resources gained after the first cut: organizations, workspaces and people count their events,
and mail and suppressions are found by workspace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_platform"
down_revision = "core_sso"
branch_labels = None
depends_on = None

OF_WORKSPACE = ("email_messages", "suppressions")  # that are listed by workspace, and many
TELL = ("organizations", "workspaces", "members", "invitations")


def upgrade() -> None:
    for table in TELL:
        op.add_column(table, sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False))
    for table in OF_WORKSPACE:
        op.create_index(f"ix_{table}_workspace", table, ["organization_id", "workspace_id", "id"])


def downgrade() -> None:
    for table in OF_WORKSPACE:
        op.drop_index(f"ix_{table}_workspace", table)
    for table in TELL:
        op.drop_column(table, "event_sequence")
