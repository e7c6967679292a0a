"""Users, credentials, sessions."""

from __future__ import annotations

revision = "core_sign_in"
down_revision = "core_tenancy"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
