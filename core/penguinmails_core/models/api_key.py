"""API keys: only the SHA-256 of their secrets is stored."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class ApiKey(TenantKey, Timestamps, Base):
    """A credential of an organization, optionally bound to one workspace and limited in what it may do.

    A derived key names its parent and never may do more than the whole line of its ancestors (`api_keys.chain`).
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("max_sends_per_day > 0", name="max_sends_per_day"),
        Index("ix_api_keys_parent_id", "organization_id", "parent_id", postgresql_where=text("parent_id is not null")),
        Index(
            "ix_api_keys_expiring",
            "expires_at",
            postgresql_where=text("revoked_at is null and expiry_noticed_at is null"),
        ),
    )
    # `ingest` authenticates before the organization is known, so it may read every key's hash and limits.
    facts = TableFacts(
        "tenant",
        "90 days after it was revoked or expired",
        personal=("last_used_ip",),
        ingest=("select", "update (last_used_at, last_used_ip)"),
    )

    workspace_id: Mapped[uuid.UUID | None]
    parent_id: Mapped[uuid.UUID | None]
    created_by_user_id: Mapped[uuid.UUID | None]
    created_by_key_id: Mapped[uuid.UUID | None]
    name: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    hint: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # Limits: null means none.
    allowed_ips: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    allowed_mailboxes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    allowed_domains: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    max_sends_per_day: Mapped[int | None] = mapped_column(Integer)
    expires_at: Mapped[datetime | None]
    expiry_noticed_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    previous_secret_expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[str | None] = mapped_column(Text)
    event_sequence: Mapped[int] = mapped_column(Integer, server_default="0")


class ApiKeySecret(TenantKey, Base):
    """A secret that was rotated out and still works until its end. Rows of their own, so that a second rotation inside
    the overlap does not cut off those who still use the first secret."""

    __tablename__ = "api_key_secrets"
    __table_args__ = (Index("ix_api_key_secrets_api_key_id", "organization_id", "api_key_id"),)
    facts = TableFacts("tenant", "until the overlap ends", ingest=("select",))

    api_key_id: Mapped[uuid.UUID]
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime]


class ApiKeySends(Base):
    """How many recipients a key with a daily cap has mailed on one UTC day. Keys without a cap have no rows."""

    __tablename__ = "api_key_sends"
    facts = TableFacts(
        "tenant",
        "90 days",
        partition="none: one row a capped key and day, swept by age",
        app=("select",),
        ingest=("select", "insert", "update (sends, cap)"),
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    api_key_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    sends: Mapped[int] = mapped_column(Integer)
    # The cap at the last send: the conflict clause of the counting statement can only see columns (`send_caps`).
    cap: Mapped[int] = mapped_column(Integer)
