"""Organizations, workspaces, memberships, roles, invitations."""

from __future__ import annotations

revision = "core_tenancy"
down_revision = "core_spine"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
