"""What a webhook endpoint can be told."""

from __future__ import annotations

revision = "core_webhook_endpoints"
down_revision = "core_platform"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
