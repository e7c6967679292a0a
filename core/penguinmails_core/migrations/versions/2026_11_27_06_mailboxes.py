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
    _inbox()


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


def _inbox() -> None:
    op.create_table(
        "mailbox_folders",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("mailbox_id"),
        _text("name"),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=True),
        sa.Column("last_uid", sa.BigInteger(), server_default="0", nullable=False),
        _text("worker", nullable=True),
        _moment("lease_until"),
        _moment("created_at", nullable=False, now=True),
        _moment("updated_at", nullable=False, now=True),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_mailbox_folders")),
        _of("mailbox_folders", "mailbox_id", "mailboxes"),
    )
    op.create_index(
        "uq_mailbox_folders_name", "mailbox_folders", ["organization_id", "mailbox_id", "name"], unique=True
    )
    op.create_table(
        "inbox_threads",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("workspace_id"),
        _text("mode"),
        _uuid("mailbox_id"),
        _uuid("email_id"),
        _text("address"),
        _text("subject"),
        _text("interest", nullable=True),
        _number("messages", default="0"),
        _moment("last_message_at", nullable=False),
        _number("event_sequence", default="0"),
        _moment("created_at", nullable=False, now=True),
        _moment("updated_at", nullable=False, now=True),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_inbox_threads_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_inbox_threads")),
        _of("inbox_threads", "mailbox_id", "mailboxes"),
    )
    op.create_index("ix_inbox_threads_email", "inbox_threads", ["organization_id", "email_id"])
    op.create_table(
        "inbox_messages",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("thread_id"),
        _uuid("mailbox_id"),
        *(_text(name) for name in ("message_id", "from_address")),
        _text("from_name", nullable=True),
        *(_text(name) for name in ("subject", "text", "reply", "reply_class")),
        sa.Column("confidence", sa.Float(), nullable=False),
        _text("rule"),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        _moment("returns_at"),
        _moment("received_at", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_inbox_messages")),
        _of("inbox_messages", "thread_id", "inbox_threads"),
    )
    op.create_index("ix_inbox_messages_thread", "inbox_messages", ["organization_id", "thread_id", "id"])
    op.create_index(
        "uq_inbox_messages_message_id", "inbox_messages", ["organization_id", "mailbox_id", "message_id"], unique=True
    )


def _of(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organization_id", column],
        [f"{parent}.organization_id", f"{parent}.id"],
        name=op.f(f"fk_{table}_organization_id_{column}"),
        ondelete="CASCADE",
    )


def downgrade() -> None:
    for table in ("inbox_messages", "inbox_threads", "mailbox_folders", "mailbox_sends"):
        op.drop_table(table)
    op.drop_table("mailboxes")
