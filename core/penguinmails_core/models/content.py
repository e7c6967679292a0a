"""The content tier: its own schema (and, when wanted, its own server). No foreign key leads in or out.

`email_content` and `attachments` name blobs by hash; a blob is kept once per organization however many messages use it.
References are counted by the collector (`content/repository.py`) rather than on the row: a counter would hold a shared
template's row locked until each accept commits.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts

SCHEMA = "content"


class Blob(Base):
    """One body or attachment. `storage_key` is random, so that nothing outside can guess or probe it."""

    __tablename__ = "blobs"
    __table_args__ = (
        CheckConstraint("encoding in ('identity', 'zstd')", name="encoding"),
        CheckConstraint("store in ('postgresql', 's3')", name="store"),
        Index("ix_blobs_touched_at", "touched_at"),
        {"schema": SCHEMA},
    )
    facts = TableFacts(
        "tenant",
        "while referenced; collected after a grace of 24 hours",
        personal=("data",),
        ingest=("insert", "select (organization_id, sha256, touched_at)", "update (touched_at)"),
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    storage_key: Mapped[uuid.UUID]
    store: Mapped[str] = mapped_column(Text, server_default="postgresql")
    encoding: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    stored_size: Mapped[int]
    data: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    # Moved at most hourly by a message that uses the blob again: the collector leaves recently touched blobs alone,
    # so it cannot take one that an uncommitted accept is about to reference.
    touched_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class EmailContent(Base):
    """Which blobs make the body of a message, and its custom headers."""

    __tablename__ = "email_content"
    __table_args__ = (
        Index("ix_email_content_retain_until", "retain_until"),
        {"schema": SCHEMA},
    )
    facts = TableFacts(
        "tenant",
        "until retain_until: 30 days transactional, 90 days campaign, or as the organization sets",
        personal=("headers",),
        ingest=("insert",),
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    text_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    html_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    retain_until: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Attachment(Base):
    __tablename__ = "attachments"
    __table_args__ = (
        Index("ix_attachments_message", "organization_id", "message_id"),
        CheckConstraint("disposition in ('attachment', 'inline')", name="disposition"),
        {"schema": SCHEMA},
    )
    facts = TableFacts("tenant", "with the content", personal=("filename",), ingest=("insert",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[uuid.UUID]
    position: Mapped[int] = mapped_column(SmallInteger)
    filename: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(Text)
    disposition: Mapped[str] = mapped_column(Text)
    content_id: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int]
