"""API keys with constraints and rotation."""

from __future__ import annotations

revision = "core_api_keys"
down_revision = "core_sign_in"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
