"""Webhooks of others, received."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_inbound"
down_revision = "core_webhook_portal"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=nullable)


def _uuid(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.UUID(), nullable=nullable)


def _octets(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _json(name: str, *, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, postgresql.JSONB(), server_default=sa.text(default) if default else None, nullable=False)


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "inbound_sources",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("workspace_id", nullable=True),
        _text("mode"),
        _text("name"),
        _text("scheme"),
        _text("status", default="enabled"),
        _json("settings", default="'{}'"),
        _octets("token_hash"),
        _octets("token"),
        _json("secrets"),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_inbound_sources_mode")),
        sa.CheckConstraint("status in ('enabled', 'disabled')", name=op.f("ck_inbound_sources_status")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_inbound_sources")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_inbound_sources_token_hash")),
    )
    op.create_table(
        "inbound_messages",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("source_id"),
        _uuid("workspace_id", nullable=True),
        _text("mode"),
        _text("scheme"),
        _text("status", default="pending"),
        _text("rejection", nullable=True),
        _octets("dedupe_key"),
        _octets("replay_key", nullable=True),
        _text("delivery_id", nullable=True),
        _text("event", nullable=True),
        _json("headers"),
        _octets("body"),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), server_default="0", nullable=False),
        _json("handlers", default="'{}'"),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        _moment("due_at", nullable=True),
        _moment("received_at", now=True),
        _moment("processed_at", nullable=True),
        sa.Column("event_sequence", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_inbound_messages_mode")),
        sa.CheckConstraint(
            "status in ('pending', 'processed', 'failed', 'rejected')", name=op.f("ck_inbound_messages_status")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_inbound_messages")),
        sa.ForeignKeyConstraint(
            ["organization_id", "source_id"],
            ["inbound_sources.organization_id", "inbound_sources.id"],
            name=op.f("fk_inbound_messages_organization_id_source_id"),
            ondelete="CASCADE",
        ),
    )
    for name, where in (("dedupe", ""), ("replay", " and replay_key is not null")):
        op.create_index(
            f"uq_inbound_messages_{name}",
            "inbound_messages",
            ["organization_id", "source_id", f"{name}_key"],
            unique=True,
            postgresql_where=sa.text(f"status <> 'rejected'{where}"),
        )
    op.create_index(
        "ix_inbound_messages_due",
        "inbound_messages",
        ["due_at"],
        postgresql_where=sa.text("due_at is not null"),
    )
    op.create_index("ix_inbound_messages_source", "inbound_messages", ["organization_id", "source_id", "id"])
    op.create_index("ix_inbound_messages_received_at", "inbound_messages", ["received_at"])


def downgrade() -> None:
    op.drop_table("inbound_messages")
    op.drop_table("inbound_sources")
