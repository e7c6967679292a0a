"""Mailboxes of people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_mailboxes"
down_revision = "core_tracking"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=nullable)


def _uuid(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.UUID(), nullable=False)


def _octets(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=True)


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), server_default=default, nullable=nullable)


def _moment(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    _mailboxes()
    _sends()


def _mailboxes() -> None:
    op.create_table(
        "mailboxes",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("workspace_id"),
        _text("mode"),
        _text("address"),
        _text("address_key"),
        _text("display_name", nullable=True),
        sa.Column("aliases", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        _text("signature_html", nullable=True),
        _text("signature_text", nullable=True),
        _text("auth"),
        _text("oauth_provider", nullable=True),
        _octets("oauth_refresh_token"),
        _octets("oauth_access_token"),
        _moment("oauth_expires_at"),
        _moment("oauth_lease_until"),
        _text("smtp_host"),
        _number("smtp_port"),
        _text("smtp_tls"),
        _text("smtp_username"),
        _octets("smtp_password"),
        _text("imap_host", nullable=True),
        _number("imap_port", nullable=True),
        _text("imap_tls", nullable=True),
        _text("imap_username", nullable=True),
        _octets("imap_password"),
        _number("daily_cap"),
        _number("hourly_cap"),
        _number("min_gap_seconds"),
        _number("gap_jitter_seconds"),
        _text("connection", default="disconnected"),
        _moment("paused_at"),
        _text("pause_reason", nullable=True),
        sa.Column("last_error", postgresql.JSONB(), nullable=True),
        _moment("checked_at"),
        _number("event_sequence", default="0"),
        _moment("created_at", nullable=False, now=True),
        _moment("updated_at", nullable=False, now=True),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_mailboxes_mode")),
        sa.CheckConstraint("auth in ('password', 'oauth')", name=op.f("ck_mailboxes_auth")),
        sa.CheckConstraint("connection in ('connected', 'disconnected')", name=op.f("ck_mailboxes_connection")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_mailboxes")),
    )
    op.create_index("uq_mailboxes_address", "mailboxes", ["organization_id", "mode", "address_key"], unique=True)


def _sends() -> None:
    op.create_table(
        "mailbox_sends",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("mailbox_id"),
        sa.Column("weight", sa.SmallInteger(), server_default="1", nullable=False),
        _moment("at", nullable=False, now=True),
        _moment("free_at", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_mailbox_sends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "mailbox_id"],
            ["mailboxes.organization_id", "mailboxes.id"],
            name=op.f("fk_mailbox_sends_organization_id_mailbox_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_mailbox_sends_at", "mailbox_sends", ["organization_id", "mailbox_id", "at"])


def downgrade() -> None:
    op.drop_table("mailbox_sends")
    op.drop_table("mailboxes")
