"""Bounces and complaints that come back by mail; suppressions by scope."""

from __future__ import annotations

revision = "core_bounce_intake"
down_revision = "core_domain_dns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
