"""Sending lanes: what they may do, what they did, and why."""

from __future__ import annotations

revision = "core_lanes"
down_revision = "core_bounce_intake"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
