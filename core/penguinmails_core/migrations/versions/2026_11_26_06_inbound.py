"""Webhooks of others, received."""

from __future__ import annotations

revision = "core_inbound"
down_revision = "core_webhook_portal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
