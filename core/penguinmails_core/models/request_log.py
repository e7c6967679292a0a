"""The request log: one row for each request that came with a credential. No bodies, no headers, no query."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts


class RequestLog(Base):
    """`id` is the request's (a UUIDv7), and `at` the time inside it: so one look-up needs one partition."""

    __tablename__ = "request_logs"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        {"postgresql_partition_by": "RANGE (at)"},
    )
    facts = TableFacts(
        "tenant",
        "PENGUINMAILS_REQUEST_LOG_RETENTION (7 days)",
        personal=("ip",),
        partition="at, one day each, created 7 days ahead, dropped after the retention",
        app=("select",),
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Text)
    route: Mapped[str] = mapped_column(Text)
    status: Mapped[int] = mapped_column(SmallInteger)
    error_code: Mapped[str | None] = mapped_column(Text)
    duration_us: Mapped[int]
    credential_kind: Mapped[str] = mapped_column(Text)
    credential_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID | None]
    app_id: Mapped[uuid.UUID | None]
    ip: Mapped[str | None] = mapped_column(Text)
