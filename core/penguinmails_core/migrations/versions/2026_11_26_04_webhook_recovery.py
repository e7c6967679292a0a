"""Replays, and what an attempt says."""

from __future__ import annotations

revision = "core_webhook_recovery"
down_revision = "core_webhook_engine"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
