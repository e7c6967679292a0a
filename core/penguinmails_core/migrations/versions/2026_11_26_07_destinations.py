"""Destinations of events beside HTTP."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "core_destinations"
down_revision = "core_inbound"
branch_labels = None
depends_on = None

_TABLE = "webhook_endpoints"
_CHECK = op.f("ck_webhook_endpoints_destination")


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("destination", sa.Text(), server_default="http", nullable=False))
    op.add_column(_TABLE, sa.Column("destination_settings", JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column(_TABLE, sa.Column("destination_secret", sa.LargeBinary(), nullable=True))
    op.create_check_constraint(_CHECK, _TABLE, "destination in ('http', 'redis_stream', 'sqs', 'nats')")


def downgrade() -> None:
    op.drop_constraint(_CHECK, _TABLE)
    for name in ("destination_secret", "destination_settings", "destination"):
        op.drop_column(_TABLE, name)
