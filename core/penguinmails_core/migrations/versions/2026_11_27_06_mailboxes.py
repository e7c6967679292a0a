"""Mailboxes of people."""

from __future__ import annotations

revision = "core_mailboxes"
down_revision = "core_tracking"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
