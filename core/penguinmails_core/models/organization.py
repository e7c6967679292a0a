"""Tenants and the people and brands inside them."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps

ROLES = ("owner", "admin", "developer", "member", "viewer", "billing")


class Organization(Timestamps, Base):
    """A tenant: the unit of billing and of isolation."""

    __tablename__ = "organizations"
    facts = TableFacts("organization", "until 90 days after cancellation", app=("select", "update"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)


class Workspace(TenantKey, Timestamps, Base):
    """A client, brand or team inside an organization; every organization has a default one."""

    __tablename__ = "workspaces"
    __table_args__ = (
        UniqueConstraint("organization_id", "slug"),
        Index("uq_workspaces_default", "organization_id", unique=True, postgresql_where=text("is_default")),
    )
    facts = TableFacts("tenant", "with the organization", ingest=("select",))

    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))


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


class Member(TenantKey, Timestamps, Base):
    """A user's place in an organization."""

    __tablename__ = "members"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id"),
        CheckConstraint("role in (" + ", ".join(f"'{role}'" for role in ROLES) + ")", name="role"),
    )
    facts = TableFacts("tenant", "with the organization")

    user_id: Mapped[uuid.UUID]
    role: Mapped[str] = mapped_column(Text)
