"""Tenants, the brands inside them, and people. Who belongs where stands in `member.py`."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class Organization(Timestamps, Base):
    """A tenant: the unit of billing and of isolation. Its settings are how a dashboard shows times and money, and how
    long events and webhook deliveries are kept."""

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("date_format in ('iso', 'day_first', 'month_first')", name="date_format"),
        CheckConstraint("event_retention_days between 1 and 90", name="event_retention_days"),
    )
    facts = TableFacts("organization", "until 90 days after cancellation", app=("select", "insert", "update"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text, server_default="UTC")
    date_format: Mapped[str] = mapped_column(Text, server_default="iso")
    currency: Mapped[str] = mapped_column(Text, server_default="USD")
    event_sequence: Mapped[int] = mapped_column(server_default="0")
    event_retention_days: Mapped[int] = mapped_column(SmallInteger, server_default="30")


class Workspace(TenantKey, Timestamps, Base):
    """A client, brand or team inside an organization; every organization has a default one. An archived one is kept
    to be read; nothing new is made in it."""

    __tablename__ = "workspaces"
    __table_args__ = (
        UniqueConstraint("organization_id", "slug"),
        Index("uq_workspaces_default", "organization_id", unique=True, postgresql_where=text("is_default")),
        CheckConstraint("not (is_default and archived_at is not null)", name="default_stays"),
    )
    facts = TableFacts("tenant", "with the organization", ingest=("select",))

    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    timezone: Mapped[str | None] = mapped_column(Text)  # null: the organization's
    archived_at: Mapped[datetime | None]
    created_by: Mapped[uuid.UUID | None]
    event_sequence: Mapped[int] = mapped_column(server_default="0")


class User(Timestamps, Base):
    """A person; may belong to many organizations."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_email", func.lower(text("email")), unique=True),)
    facts = TableFacts(
        "shared",
        "365 days after deletion",
        personal=("email", "name"),
        app=("select",),
        policy="exists (select from members m where m.user_id = users.id and m.organization_id = {organization})",
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
