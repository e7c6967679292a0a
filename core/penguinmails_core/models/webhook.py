"""Webhook endpoints, what is owed to them, and every attempt."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class WebhookEndpoint(TenantKey, Timestamps, Base):
    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("status in ('enabled', 'disabled')", name="status"),
    )
    facts = TableFacts("tenant", "until deleted", personal=("url", "metadata"))

    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str | None] = mapped_column(Text)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    status: Mapped[str] = mapped_column(Text, server_default="enabled")
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failing_since: Mapped[datetime | None]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_expires_at: Mapped[datetime | None]
    event_sequence: Mapped[int] = mapped_column(server_default="0")


class WebhookDelivery(TenantKey, Base):
    """One event owed to one endpoint. `due_at` is null when nothing is owed any more."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("organization_id", "endpoint_id", "event_id"),
        # By endpoint first: a claim takes so many of each endpoint, however long the backlog of another one is.
        Index(
            "ix_webhook_deliveries_due",
            "organization_id",
            "endpoint_id",
            "due_at",
            postgresql_where=text("due_at is not null"),
        ),
        CheckConstraint("status in ('pending', 'delivered', 'exhausted', 'cancelled')", name="status"),
        {"postgresql_with": {"fillfactor": "85"}},
    )
    facts = TableFacts("tenant", "30 days, with the events", app=("select", "insert", "update"))

    endpoint_id: Mapped[uuid.UUID]
    event_id: Mapped[uuid.UUID]
    event_created_at: Mapped[datetime]
    event_type: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    last_status_code: Mapped[int | None] = mapped_column(SmallInteger)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(TenantKey, Base):
    __tablename__ = "webhook_attempts"
    __table_args__ = (Index("ix_webhook_attempts_delivery", "organization_id", "delivery_id"),)
    facts = TableFacts("tenant", "30 days", personal=("response_body",), app=("select",))

    delivery_id: Mapped[uuid.UUID]
    endpoint_id: Mapped[uuid.UUID]
    number: Mapped[int] = mapped_column(SmallInteger)
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    status_code: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None] = mapped_column(Text)
    response_body: Mapped[str | None] = mapped_column(Text)
