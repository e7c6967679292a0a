"""Single sign-on and SCIM."""

from __future__ import annotations

revision = "core_sso"
down_revision = "core_resources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
