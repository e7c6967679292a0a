"""The event log: one row for everything that happened, written with the change itself."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import XID8, Base, PgSnapshot, TableFacts


class Event(Base):
    """Append-only. `xid` orders commits (see `events/cursor`), `sequence` orders one resource's events."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_xid", "xid", "id"),
        Index("ix_events_organization_xid", "organization_id", "xid", "id"),
        Index("ix_events_resource", "organization_id", "resource_id"),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )
    facts = TableFacts(
        "tenant",
        "30 days",
        personal=("payload",),
        partition="created_at, one day each, created 7 days ahead, dropped after the retention",
        app=("select", "insert"),
        ingest=("insert",),
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True, server_default=text("now()"))
    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[uuid.UUID]
    sequence: Mapped[int]
    schema_version: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    xid: Mapped[int] = mapped_column(XID8, server_default=text("pg_current_xact_id()"))


class ConsumerCursor(Base):
    """How far one consumer of the event log has read: a pair of snapshots and the place inside the round."""

    __tablename__ = "consumer_cursors"
    facts = TableFacts("system", "for ever")

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    old: Mapped[str] = mapped_column(PgSnapshot)
    new: Mapped[str | None] = mapped_column(PgSnapshot)
    page_xid: Mapped[int | None] = mapped_column(XID8)
    page_id: Mapped[uuid.UUID | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
