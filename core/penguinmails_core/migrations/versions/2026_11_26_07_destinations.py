"""Destinations of events beside HTTP."""

from __future__ import annotations

revision = "core_destinations"
down_revision = "core_inbound"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
