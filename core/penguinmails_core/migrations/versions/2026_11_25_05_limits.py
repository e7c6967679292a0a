"""Plans, overrides, usage."""

from __future__ import annotations

revision = "core_limits"
down_revision = "core_oauth"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
