"""Addresses that must not be mailed, each with its evidence; lifted, and forgotten only long after."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class Suppression(TenantKey, Base):
    """Holds in all workspaces: for all mail, for a class of it (`category`: campaign), or for one `list`.
    `workspace_id` says where it came from, `created_by` and `lifted_by` name the credential (a TypeID; null when the
    system did it)."""

    __tablename__ = "suppressions"
    __table_args__ = (
        Index(
            "uq_suppressions_active",
            "organization_id",
            "mode",
            "address",
            "scope",
            "scope_value",
            unique=True,
            postgresql_where=text("lifted_at is null"),
        ),
        Index("ix_suppressions_address", "organization_id", "address"),
        Index("ix_suppressions_workspace", "organization_id", "workspace_id", "id"),
        Index("ix_suppressions_lifted_at", "lifted_at", postgresql_where=text("lifted_at is not null")),
        Index("ix_suppressions_expires_at", "expires_at", postgresql_where=text("expires_at is not null")),
        CheckConstraint("reason in ('hard_bounce', 'complaint', 'unsubscribe', 'manual')", name="reason"),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint(
            "scope = 'organization' and scope_value = '' or scope in ('category', 'list') and scope_value <> ''",
            name="scope",
        ),
    )
    facts = TableFacts("tenant", "until lifted or expired, then 400 days", personal=("address", "evidence", "note"))

    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    mode: Mapped[str] = mapped_column(Text, server_default="live")
    workspace_id: Mapped[uuid.UUID | None]
    note: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str | None] = mapped_column(Text)
    lifted_by: Mapped[str | None] = mapped_column(Text)
    event_sequence: Mapped[int] = mapped_column(server_default="0")
    scope: Mapped[str] = mapped_column(Text, server_default="organization")
    scope_value: Mapped[str] = mapped_column(Text, server_default="")
