"""Templates of messages."""

from __future__ import annotations

revision = "core_templates"
down_revision = "core_lanes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
