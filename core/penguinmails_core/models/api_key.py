"""API keys: only their SHA-256 is stored."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class ApiKey(TenantKey, Timestamps, Base):
    """A credential of an organization, optionally bound to one workspace."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("mode in ('live', 'test')", name="mode"),)
    # `ingest` authenticates before the organization is known, so it may read every key's hash and limits.
    facts = TableFacts("tenant", "90 days after revocation", ingest=("select", "update (last_used_at)"))

    workspace_id: Mapped[uuid.UUID | None]
    name: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    hint: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    allowed_ips: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
