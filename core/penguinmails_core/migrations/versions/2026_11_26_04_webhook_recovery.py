"""Replays, and what an attempt says."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from penguinmails_core.models.base import XID8

revision = "core_webhook_recovery"
down_revision = "core_webhook_engine"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)

_SEARCH: dict[str, tuple[list[Any], str | None]] = {
    "ended": (["status"], "status in ('exhausted', 'cancelled')"),
    "code": (["last_status_code"], "last_status_code >= 300"),
    "error": ([sa.text("split_part(last_error, ':', 1)")], "last_error is not null"),
    "type": (["event_type"], None),
}


def upgrade() -> None:
    _replays()
    op.add_column(
        "organizations", sa.Column("event_retention_days", sa.SmallInteger(), server_default="30", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_organizations_event_retention_days"), "organizations", "event_retention_days between 1 and 90"
    )
    op.add_column("webhook_deliveries", sa.Column("replay_id", sa.UUID(), nullable=True))
    op.create_index(
        "ix_webhook_deliveries_replay",
        "webhook_deliveries",
        ["organization_id", "replay_id"],
        postgresql_where=sa.text("replay_id is not null"),
    )

    op.add_column("webhook_attempts", sa.Column("detail", postgresql.JSONB(), nullable=True))
    for name, (columns, condition) in _SEARCH.items():
        op.create_index(
            f"ix_webhook_deliveries_{name}",
            "webhook_deliveries",
            ["organization_id", *columns, "id"],
            postgresql_where=sa.text(condition) if condition else None,
        )


def _replays() -> None:
    op.create_table(
        "webhook_replays",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("endpoint_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("selection", sa.Text(), nullable=True),
        sa.Column("event_id", sa.UUID(), nullable=True),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("since", _MOMENT, nullable=True),
        sa.Column("until", _MOMENT, nullable=True),
        sa.Column(
            "until_xid", XID8(), server_default=sa.text("pg_snapshot_xmax(pg_current_snapshot())"), nullable=False
        ),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("scanned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cursor_xid", XID8(), nullable=True),
        sa.Column("cursor_id", sa.UUID(), nullable=True),
        sa.Column("scan_ended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.CheckConstraint(
            "status in ('queued', 'running', 'completed', 'cancelled', 'failed')",
            name=op.f("ck_webhook_replays_status"),
        ),
        sa.CheckConstraint("selection in ('missing', 'failed', 'all')", name=op.f("ck_webhook_replays_selection")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_webhook_replays")),
    )
    op.create_index("ix_webhook_replays_endpoint", "webhook_replays", ["organization_id", "endpoint_id", "id"])
    op.create_index(
        "ix_webhook_replays_active",
        "webhook_replays",
        ["created_at"],
        postgresql_where=sa.text("status in ('queued', 'running')"),
    )


def downgrade() -> None:
    for name in _SEARCH:
        op.drop_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries")
    op.drop_column("webhook_attempts", "detail")
    op.drop_index("ix_webhook_deliveries_replay", "webhook_deliveries")
    op.drop_column("webhook_deliveries", "replay_id")
    op.drop_table("webhook_replays")
    op.drop_constraint(op.f("ck_organizations_event_retention_days"), "organizations")
    op.drop_column("organizations", "event_retention_days")
