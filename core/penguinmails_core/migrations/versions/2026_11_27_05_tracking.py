"""Opens, clicks and unsubscribing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "core_tracking"
down_revision = "core_templates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = sa.Column("options", JSONB(), server_default=sa.text("'{}'"), nullable=False)
    op.add_column("email_messages", options)
    op.execute("alter type accept_message add attribute options text")


def downgrade() -> None:
    op.execute("alter type accept_message drop attribute options")
    op.drop_column("email_messages", "options")
