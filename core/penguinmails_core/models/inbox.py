"""What came back to mailboxes: cursors of their folders, threads, messages."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class MailboxFolder(TenantKey, Timestamps, Base):
    """How far a folder was read: all up to `last_uid` of `uidvalidity` (RFC 3501 §2.3.1.1). The reader holds it until
    `lease_until`."""

    __tablename__ = "mailbox_folders"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "mailbox_id"], ["mailboxes.organization_id", "mailboxes.id"], ondelete="CASCADE"
        ),
        Index("uq_mailbox_folders_name", "organization_id", "mailbox_id", "name", unique=True),
    )
    facts = TableFacts("tenant", "with the mailbox")

    mailbox_id: Mapped[uuid.UUID]
    name: Mapped[str] = mapped_column(Text)
    uidvalidity: Mapped[int | None] = mapped_column(BigInteger)
    last_uid: Mapped[int] = mapped_column(BigInteger, server_default="0")
    worker: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]


class InboxThread(TenantKey, Timestamps, Base):
    """A conversation with one address about one message of ours. `interest` is what a person said last."""

    __tablename__ = "inbox_threads"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "mailbox_id"], ["mailboxes.organization_id", "mailboxes.id"], ondelete="CASCADE"
        ),
        Index("ix_inbox_threads_email", "organization_id", "email_id"),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
    )
    facts = TableFacts("tenant", "until the mailbox is deleted", personal=("address", "subject"))

    workspace_id: Mapped[uuid.UUID]
    mode: Mapped[str] = mapped_column(Text)
    mailbox_id: Mapped[uuid.UUID]
    email_id: Mapped[uuid.UUID]
    address: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    interest: Mapped[str | None] = mapped_column(Text)
    messages: Mapped[int] = mapped_column(server_default="0")
    last_message_at: Mapped[datetime]
    event_sequence: Mapped[int] = mapped_column(server_default="0")


class InboxMessage(TenantKey, Base):
    """An answer. `message_id` is its own Message-ID, by which a repeat is known. `reply` is what the person wrote,
    without quotes and signature."""

    __tablename__ = "inbox_messages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "thread_id"], ["inbox_threads.organization_id", "inbox_threads.id"], ondelete="CASCADE"
        ),
        Index("uq_inbox_messages_message_id", "organization_id", "mailbox_id", "message_id", unique=True),
        Index("ix_inbox_messages_thread", "organization_id", "thread_id", "id"),
    )
    facts = TableFacts("tenant", "with the thread", personal=("from_address", "from_name", "subject", "text", "reply"))

    thread_id: Mapped[uuid.UUID]
    mailbox_id: Mapped[uuid.UUID]
    message_id: Mapped[str] = mapped_column(Text)
    from_address: Mapped[str] = mapped_column(Text)
    from_name: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    reply: Mapped[str] = mapped_column(Text)
    reply_class: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    rule: Mapped[str] = mapped_column(Text)
    automatic: Mapped[bool]
    returns_at: Mapped[datetime | None]
    received_at: Mapped[datetime]


__all__ = ["InboxMessage", "InboxThread", "MailboxFolder"]
