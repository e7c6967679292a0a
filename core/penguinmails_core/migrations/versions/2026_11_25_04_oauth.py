"""The OAuth2 and OpenID server."""

from __future__ import annotations

revision = "core_oauth"
down_revision = "core_api_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
