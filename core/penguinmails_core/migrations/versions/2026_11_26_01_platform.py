"""What the platform's resources gained after the first cut."""

from __future__ import annotations

revision = "core_platform"
down_revision = "core_sso"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
