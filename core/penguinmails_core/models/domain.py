"""Sending domains and their DKIM keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class Domain(TenantKey, Timestamps, Base):
    """A domain that mail is sent from. Two organizations may add the same name; only one can have it verified.

    `observed` is what the last look at DNS found, by the key of the record (see `domains/dns_records.py`), `options`
    what its owner chose (`domains/policy.py`). While a verified domain's key is not in DNS, `failing_since` says since
    when and `grace_until` how long mail still leaves.
    """

    __tablename__ = "domains"
    __table_args__ = (
        UniqueConstraint("organization_id", "name"),
        Index("uq_domains_verified", "name", unique=True, postgresql_where=text("status = 'verified'")),
        Index("ix_domains_next_look_at", "next_look_at"),
        CheckConstraint("status in ('pending', 'verified', 'failed')", name="status"),
    )
    facts = TableFacts("tenant", "with the organization", ingest=("select",))

    workspace_id: Mapped[uuid.UUID]
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    verified_at: Mapped[datetime | None]
    observed: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    checked_at: Mapped[datetime | None]
    next_look_at: Mapped[datetime] = mapped_column(server_default=func.now())
    failing_since: Mapped[datetime | None]
    grace_until: Mapped[datetime | None]
    event_sequence: Mapped[int] = mapped_column(server_default="0")


class DomainKey(TenantKey, Timestamps, Base):
    """A DKIM key pair; the private half is sealed (AES-256-GCM) and emptied when the key is revoked.

    `state`: `next` is published and waits until resolvers have forgotten that it was not there (`usable_at`), `active`
    signs, `retiring` signs no more but stays published for mail on its way, `revoked` is published as empty.
    """

    __tablename__ = "domain_keys"
    __table_args__ = (
        UniqueConstraint("organization_id", "domain_id", "selector"),
        CheckConstraint("algorithm in ('rsa-sha256', 'ed25519-sha256')", name="algorithm"),
        CheckConstraint("state in ('next', 'active', 'retiring', 'revoked')", name="state"),
    )
    facts = TableFacts("tenant", "with the domain")

    domain_id: Mapped[uuid.UUID]
    selector: Mapped[str] = mapped_column(Text)
    algorithm: Mapped[str] = mapped_column(Text)
    public_key: Mapped[str] = mapped_column(Text)
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    state: Mapped[str] = mapped_column(Text, server_default="active")
    state_at: Mapped[datetime] = mapped_column(server_default=func.now())
    usable_at: Mapped[datetime | None]


class DomainReport(TenantKey, Base):
    """A report of a receiver about mail that bears the domain's name (`dmarc`), or about TLS on the way to it (`tls`).
    `rows` are as `domains/reports/reading.py` has them; addresses in them are servers', not people's."""

    __tablename__ = "domain_reports"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "domain_id"], ["domains.organization_id", "domains.id"], ondelete="CASCADE"
        ),
        UniqueConstraint(
            "organization_id", "domain_id", "kind", "reporter", "report_id", "begins_at", name="uq_domain_reports_once"
        ),
        Index("ix_domain_reports_created_at", "created_at"),
        CheckConstraint("kind in ('dmarc', 'tls')", name="kind"),
    )
    facts = TableFacts("tenant", "400 days", app=("select", "insert"))

    domain_id: Mapped[uuid.UUID]
    kind: Mapped[str] = mapped_column(Text)
    reporter: Mapped[str] = mapped_column(Text)
    report_id: Mapped[str] = mapped_column(Text)
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    rows: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
