"""Audit log and request log."""

from __future__ import annotations

revision = "core_audit"
down_revision = "core_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
