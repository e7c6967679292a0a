"""Addresses that must not be mailed, each with its evidence; lifted, never deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class Suppression(TenantKey, Base):
    __tablename__ = "suppressions"
    __table_args__ = (
        Index(
            "uq_suppressions_active",
            "organization_id",
            "address",
            unique=True,
            postgresql_where=text("lifted_at is null"),
        ),
        CheckConstraint("reason in ('hard_bounce', 'complaint', 'unsubscribe', 'manual')", name="reason"),
    )
    facts = TableFacts("tenant", "until lifted, then 400 days", personal=("address", "evidence"))

    address: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
