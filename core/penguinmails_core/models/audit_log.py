"""The audit log: every privileged change, chained by hashes so that tampering shows."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class AuditLog(TenantKey, Base):
    """Append-only. `hash` covers every other column and the hash of the row before (`audit/chain.py`)."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        UniqueConstraint("organization_id", "sequence"),
        Index("ix_audit_logs_resource", "organization_id", "resource_id", "id"),
        CheckConstraint(
            "actor_kind in ('user', 'api_key', 'oauth_app', 'webhook_portal_link', 'system', 'operator')",
            name="actor_kind",
        ),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
    )
    # Exported with the person; not erased before its time, since that would break the chain (GDPR art. 17(3)(e)).
    facts = TableFacts(
        "tenant",
        "PENGUINMAILS_AUDIT_RETENTION (2 years)",
        personal=("actor_label", "ip", "user_agent", "before", "after"),
        partition="none: few rows; the oldest are deleted as whole prefixes, behind the anchor in audit_heads",
        app=("select", "insert"),
        worker=("select", "insert", "delete"),
    )

    sequence: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None]
    actor_user_id: Mapped[uuid.UUID | None]
    actor_label: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    resource_type: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[uuid.UUID]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    request_id: Mapped[uuid.UUID | None]
    ip: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """Both ends of an organization's chain. Its row lock puts writers in line; `sequence` and `hash` are the newest
    entry's, so that a cut end shows; the anchor is the last entry that retention dropped, so that what is left still
    verifies."""

    __tablename__ = "audit_heads"
    facts = TableFacts(
        "tenant", "with the organization", app=("select", "insert", "update"), worker=("select", "insert", "update")
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    hash: Mapped[bytes] = mapped_column(LargeBinary, server_default=text(r"'\x'::bytea"))
    anchor_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    anchor_hash: Mapped[bytes] = mapped_column(LargeBinary, server_default=text(r"'\x'::bytea"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
