"""Sending domains and their DKIM keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class Domain(TenantKey, Timestamps, Base):
    """A domain that mail is sent from. Two organizations may add the same name; only one can have it verified.

    `observed` is what the last look at DNS found, by the name of the record (see `domains/dns_records.py`).
    """

    __tablename__ = "domains"
    __table_args__ = (
        UniqueConstraint("organization_id", "name"),
        Index("uq_domains_verified", "name", unique=True, postgresql_where=text("status = 'verified'")),
        Index("ix_domains_next_look_at", "next_look_at", postgresql_where=text("status = 'verified'")),
        CheckConstraint("status in ('pending', 'verified', 'failed')", name="status"),
    )
    facts = TableFacts("tenant", "with the organization", ingest=("select",))

    workspace_id: Mapped[uuid.UUID]
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    verified_at: Mapped[datetime | None]
    observed: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    checked_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]  # while verified: since when the key is missed
    next_look_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    event_sequence: Mapped[int] = mapped_column(server_default="0")


class DomainKey(TenantKey, Timestamps, Base):
    """A DKIM key pair; the private half is sealed (AES-256-GCM)."""

    __tablename__ = "domain_keys"
    __table_args__ = (
        UniqueConstraint("organization_id", "domain_id", "selector"),
        CheckConstraint("algorithm in ('rsa-sha256', 'ed25519-sha256')", name="algorithm"),
    )
    facts = TableFacts("tenant", "with the domain")

    domain_id: Mapped[uuid.UUID]
    selector: Mapped[str] = mapped_column(Text)
    algorithm: Mapped[str] = mapped_column(Text)
    public_key: Mapped[str] = mapped_column(Text)
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
