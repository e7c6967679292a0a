"""Links into the webhook portal."""

from __future__ import annotations

revision = "core_webhook_portal"
down_revision = "core_webhook_recovery"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
