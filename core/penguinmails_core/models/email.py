"""A message, its recipients and each attempt to deliver it.

Status lives on the recipient; a message's status is derived from its recipients. Due times live on the recipient too,
so that claiming costs the same however long the queue is.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class RecipientStatus(StrEnum):
    QUEUED = "queued"  # waits for its due time
    SENDING = "sending"  # claimed; an attempt is open
    DEFERRED = "deferred"  # a temporary failure; waits for the next attempt
    SENT = "sent"  # handed over to the next system (final for a smarthost)
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"  # gave up: expired, ambiguous campaign mail, or not sendable
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    COMPLAINED = "complained"


FINAL = frozenset(
    {
        RecipientStatus.SENT,
        RecipientStatus.DELIVERED,
        RecipientStatus.BOUNCED,
        RecipientStatus.FAILED,
        RecipientStatus.SUPPRESSED,
        RecipientStatus.CANCELLED,
        RecipientStatus.COMPLAINED,
    }
)


class EmailMessage(TenantKey, Timestamps, Base):
    __tablename__ = "email_messages"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("message_class in ('transactional', 'campaign')", name="message_class"),
        # Lists of one workspace: without it, one that sends little is looked for among all the others' mail.
        Index("ix_email_messages_workspace", "organization_id", "workspace_id", "id"),
        {"postgresql_with": {"fillfactor": "90"}},
    )
    facts = TableFacts(
        "tenant",
        "400 days, or as the organization sets",
        personal=("from_address", "from_name", "reply_to", "subject", "metadata"),
        partition="none yet: the primary key starts with a UUIDv7, so range partitions by month can be attached",
        ingest=("insert",),
    )

    workspace_id: Mapped[uuid.UUID]
    api_key_id: Mapped[uuid.UUID]
    mode: Mapped[str] = mapped_column(Text)
    message_class: Mapped[str] = mapped_column(Text)
    from_address: Mapped[str] = mapped_column(Text)
    from_name: Mapped[str | None] = mapped_column(Text)
    from_domain: Mapped[str] = mapped_column(Text)
    reply_to: Mapped[list[str]] = mapped_column(ARRAY(Text))
    subject: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB)
    size_bytes: Mapped[int]
    scheduled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    # What the sender does for each recipient (`emails/options.py`); `{}`: everybody gets the same octets.
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))


class EmailRecipient(TenantKey, Base):
    """One address of one message: what is due, what happened, what the far side said."""

    __tablename__ = "email_recipients"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["email_messages.organization_id", "email_messages.id"],
            ondelete="CASCADE",
        ),
        # The claim reads this index only; a claim nulls `due_at` and the result leaves indexed columns alone. A queue
        # is a lane and an organization, so that one organization's mail never stands in front of another's.
        Index(
            "ix_email_recipients_due",
            "lane",
            "organization_id",
            "due_at",
            postgresql_where=text("due_at is not null"),
        ),
        Index("ix_email_recipients_message", "organization_id", "message_id"),
        Index("ix_email_recipients_address", "organization_id", "address"),
        CheckConstraint("kind in ('to', 'cc', 'bcc')", name="kind"),
        {"postgresql_with": {"fillfactor": "85"}},
    )
    facts = TableFacts(
        "tenant",
        "with the message",
        personal=("address", "name", "reply"),
        # `select` on the key columns is what INSERT ... RETURNING needs.
        ingest=("insert",),
    )

    message_id: Mapped[uuid.UUID]
    kind: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(SmallInteger)
    address: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="queued")
    lane: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    event_sequence: Mapped[int] = mapped_column(server_default="0")
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced_code: Mapped[str | None] = mapped_column(Text)
    reply: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class EmailAttempt(TenantKey, Base):
    """Written before the SMTP conversation starts; `outcome` stays `started` until an answer is known."""

    __tablename__ = "email_attempts"
    __table_args__ = (
        Index("ix_email_attempts_open", "lease_until", postgresql_where=text("outcome = 'started'")),
        Index("ix_email_attempts_recipient", "organization_id", "recipient_id"),
        CheckConstraint(
            "outcome in ('started', 'sent', 'delivered', 'deferred', 'bounced', 'failed', 'ambiguous')",
            name="outcome",
        ),
        {"postgresql_with": {"fillfactor": "85"}},
    )
    facts = TableFacts("tenant", "with the message", personal=("reply",), app=("select",))

    message_id: Mapped[uuid.UUID]
    recipient_id: Mapped[uuid.UUID]
    number: Mapped[int] = mapped_column(SmallInteger)
    worker: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text, server_default="started")
    lease_until: Mapped[datetime]
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced_code: Mapped[str | None] = mapped_column(Text)
    reply: Mapped[str | None] = mapped_column(Text)
    remote_host: Mapped[str | None] = mapped_column(Text)
    tls: Mapped[bool | None]
