"""People's own mailboxes, which mail goes out from and replies come back to."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class Mailbox(TenantKey, Timestamps, Base):
    """`address_key` is the address in the form that is compared. `connection` is what the last look found; a mailbox
    that is `paused_at` sends nothing whatever it says. Secrets are sealed with the row's id as context.

    `last_error` is {protocol, code, detail, fix, at}. `oauth_lease_until`: somebody is fetching a token until then, so
    that a provider that rotates refresh tokens is asked once at a time.
    """

    __tablename__ = "mailboxes"
    __table_args__ = (
        Index("uq_mailboxes_address", "organization_id", "mode", "address_key", unique=True),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("auth in ('password', 'oauth')", name="auth"),
        CheckConstraint("connection in ('connected', 'disconnected')", name="connection"),
    )
    facts = TableFacts(
        "tenant",
        "until deleted",
        personal=("address", "display_name", "aliases", "signature_html", "signature_text"),
        ingest=("select",),
    )

    workspace_id: Mapped[uuid.UUID]
    mode: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    address_key: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str | None] = mapped_column(Text)
    aliases: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    signature_html: Mapped[str | None] = mapped_column(Text)
    signature_text: Mapped[str | None] = mapped_column(Text)
    auth: Mapped[str] = mapped_column(Text)
    oauth_provider: Mapped[str | None] = mapped_column(Text)
    oauth_refresh_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    oauth_access_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    oauth_expires_at: Mapped[datetime | None]
    oauth_lease_until: Mapped[datetime | None]
    smtp_host: Mapped[str] = mapped_column(Text)
    smtp_port: Mapped[int]
    smtp_tls: Mapped[str] = mapped_column(Text)
    smtp_username: Mapped[str] = mapped_column(Text)
    smtp_password: Mapped[bytes | None] = mapped_column(LargeBinary)
    imap_host: Mapped[str | None] = mapped_column(Text)
    imap_port: Mapped[int | None]
    imap_tls: Mapped[str | None] = mapped_column(Text)
    imap_username: Mapped[str | None] = mapped_column(Text)
    imap_password: Mapped[bytes | None] = mapped_column(LargeBinary)
    daily_cap: Mapped[int]
    hourly_cap: Mapped[int]
    min_gap_seconds: Mapped[int]
    gap_jitter_seconds: Mapped[int]
    connection: Mapped[str] = mapped_column(Text, server_default="disconnected")
    paused_at: Mapped[datetime | None]
    pause_reason: Mapped[str | None] = mapped_column(Text)
    last_error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    checked_at: Mapped[datetime | None]
    event_sequence: Mapped[int] = mapped_column(server_default="0")

    @property
    def status(self) -> str:
        return "paused" if self.paused_at is not None else self.connection


class MailboxSend(TenantKey, Base):
    """One permission to send, taken in a transaction of its own before the SMTP conversation: caps and gaps are counted
    from here, so what a crash has left undone counts as sent and no second worker goes beyond a cap. `weight` is the
    number of recipients."""

    __tablename__ = "mailbox_sends"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "mailbox_id"], ["mailboxes.organization_id", "mailboxes.id"], ondelete="CASCADE"
        ),
        Index("ix_mailbox_sends_at", "organization_id", "mailbox_id", "at"),
    )
    facts = TableFacts("tenant", "8 days")

    mailbox_id: Mapped[uuid.UUID]
    weight: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    free_at: Mapped[datetime]


__all__ = ["Mailbox", "MailboxSend"]
