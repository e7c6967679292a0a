"""Opens, clicks and unsubscribing."""

from __future__ import annotations

revision = "core_tracking"
down_revision = "core_templates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
