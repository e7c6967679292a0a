"""Links into the webhook portal, and whose endpoint an endpoint is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "core_webhook_portal"
down_revision = "core_webhook_recovery"
branch_labels = None
depends_on = None

_ACTORS = "'user', 'api_key', 'oauth_app', 'webhook_portal_link', 'system', 'operator'"
_ACTORS_BEFORE = "'user', 'api_key', 'oauth_app', 'system', 'operator'"


def upgrade() -> None:
    op.add_column("webhook_endpoints", sa.Column("consumer", sa.Text(), nullable=True))
    op.create_index(
        "ix_webhook_endpoints_consumer",
        "webhook_endpoints",
        ["organization_id", "consumer", "id"],
        postgresql_where=sa.text("consumer is not null"),
    )
    op.create_table(
        "webhook_portal_links",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("events", ARRAY(sa.Text()), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("theme", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("return_url", sa.Text(), nullable=True),
        sa.Column("frame_ancestors", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_by_key_id", sa.Uuid(), nullable=True),
        sa.Column("created_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_webhook_portal_links_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_webhook_portal_links")),
        sa.UniqueConstraint("hash", name=op.f("uq_webhook_portal_links_hash")),
    )
    op.create_index("ix_webhook_portal_links_consumer", "webhook_portal_links", ["organization_id", "consumer", "id"])
    op.create_index("ix_webhook_portal_links_expires_at", "webhook_portal_links", ["expires_at"])
    _actors(_ACTORS)


def downgrade() -> None:
    op.execute("delete from audit_logs where actor_kind = 'webhook_portal_link'")
    _actors(_ACTORS_BEFORE)
    op.drop_table("webhook_portal_links")
    op.drop_index("ix_webhook_endpoints_consumer", "webhook_endpoints")
    op.drop_column("webhook_endpoints", "consumer")


def _actors(kinds: str) -> None:
    name = op.f("ck_audit_logs_actor_kind")
    op.drop_constraint(name, "audit_logs")
    op.create_check_constraint(name, "audit_logs", f"actor_kind in ({kinds})")
