"""What the delivery engine keeps."""

from __future__ import annotations

revision = "core_webhook_engine"
down_revision = "core_webhook_endpoints"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
