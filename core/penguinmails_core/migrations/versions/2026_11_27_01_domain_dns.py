"""What domains should publish, what DNS says, and the reports of receivers."""

from __future__ import annotations

revision = "core_domain_dns"
down_revision = "core_destinations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
