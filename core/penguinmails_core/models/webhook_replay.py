"""Jobs that send what an endpoint has missed, or everything, once more."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import XID8, Base, TableFacts, TenantKey


class WebhookReplay(TenantKey, Base):
    """`selection`: which events (`only` in the API); null with an `event_id`. The log is read in its own order from
    `cursor_xid`, `cursor_id` to `until_xid`, which was the next transaction when the job was asked for. `scanned` of
    about `total` events were looked at; `created` deliveries did not exist before, `resent` were made due again."""

    __tablename__ = "webhook_replays"
    __table_args__ = (
        CheckConstraint("status in ('queued', 'running', 'completed', 'cancelled', 'failed')", name="status"),
        CheckConstraint("selection in ('missing', 'failed', 'all')", name="selection"),
        Index("ix_webhook_replays_endpoint", "organization_id", "endpoint_id", "id"),
        Index("ix_webhook_replays_active", "created_at", postgresql_where=text("status in ('queued', 'running')")),
    )
    facts = TableFacts("tenant", "90 days after its end", app=("select", "insert", "update"))

    endpoint_id: Mapped[uuid.UUID]
    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    selection: Mapped[str | None] = mapped_column(Text)
    event_id: Mapped[uuid.UUID | None]
    types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]
    until_xid: Mapped[int] = mapped_column(XID8, server_default=text("pg_snapshot_xmax(pg_current_snapshot())"))
    status: Mapped[str] = mapped_column(Text, server_default="queued")
    reason: Mapped[str | None] = mapped_column(Text)
    total: Mapped[int | None]
    scanned: Mapped[int] = mapped_column(server_default="0")
    created: Mapped[int] = mapped_column(server_default="0")
    resent: Mapped[int] = mapped_column(server_default="0")
    cursor_xid: Mapped[int | None] = mapped_column(XID8)
    cursor_id: Mapped[uuid.UUID | None]
    scan_ended: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
