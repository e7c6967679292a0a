"""Domains, suppressions and what REST adds to them."""

from __future__ import annotations

revision = "core_resources"
down_revision = "core_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
