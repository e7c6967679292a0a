"""Webhooks of others: where they come in, and what came."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class InboundSource(TenantKey, Timestamps, Base):
    """`token_hash` finds it by the URL that was called; `token` is the same, sealed, to show that URL again. `secrets`
    is a list of {sealed (base64), created_at, expires_at}, the newest first; the first has no end."""

    __tablename__ = "inbound_sources"
    __table_args__ = (
        UniqueConstraint("token_hash"),  # who calls knows no organization
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("status in ('enabled', 'disabled')", name="status"),
    )
    facts = TableFacts("tenant", "until deleted", ingest=("select",))

    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    scheme: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="enabled")
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    token: Mapped[bytes] = mapped_column(LargeBinary)
    secrets: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class InboundMessage(TenantKey, Base):
    """What came. `rejected`: it was not proven; a few are kept, so that the owner sees why. `due_at` is null when no
    handler waits for it. `handlers`: by name, {status, attempts, error}."""

    __tablename__ = "inbound_messages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "source_id"],
            ["inbound_sources.organization_id", "inbound_sources.id"],
            ondelete="CASCADE",
        ),
        Index(
            "uq_inbound_messages_dedupe",
            "organization_id",
            "source_id",
            "dedupe_key",
            unique=True,
            postgresql_where=text("status <> 'rejected'"),
        ),
        Index(
            "uq_inbound_messages_replay",
            "organization_id",
            "source_id",
            "replay_key",
            unique=True,
            postgresql_where=text("status <> 'rejected' and replay_key is not null"),
        ),
        Index("ix_inbound_messages_source", "organization_id", "source_id", "id"),
        Index("ix_inbound_messages_received_at", "received_at"),
        Index("ix_inbound_messages_due", "due_at", postgresql_where=text("due_at is not null")),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("status in ('pending', 'processed', 'failed', 'rejected')", name="status"),
    )
    facts = TableFacts("tenant", "30 days (setting)", personal=("headers", "body"))

    source_id: Mapped[uuid.UUID]
    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    scheme: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    rejection: Mapped[str | None] = mapped_column(Text)
    dedupe_key: Mapped[bytes] = mapped_column(LargeBinary)
    replay_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    delivery_id: Mapped[str | None] = mapped_column(Text)
    event: Mapped[str | None] = mapped_column(Text)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    size_bytes: Mapped[int]
    duplicates: Mapped[int] = mapped_column(server_default="0")
    handlers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[datetime | None]
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    processed_at: Mapped[datetime | None]
    event_sequence: Mapped[int] = mapped_column(server_default="1")
