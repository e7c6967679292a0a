"""Single sign-on: how an organization's own identity provider signs its people in, and what it provisions by SCIM.

A connection belongs to one organization. Who signs in through it is known by (connection, subject), never by an
address alone: an address counts only in domains that the organization has proven by DNS.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


def _of_connection() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["organization_id", "connection_id"],
        ["sso_connections.organization_id", "sso_connections.id"],
        ondelete="CASCADE",
    )


class SsoConnection(TenantKey, Timestamps, Base):
    """An identity provider. `issuer` is OIDC's issuer or SAML's entity id. `client_secret` is sealed. `enforced`:
    members whose address is in a proven domain sign in here only. `default_role` is what people get who come the first
    time, `group_roles` what SCIM groups give by their display name."""

    __tablename__ = "sso_connections"
    __table_args__ = (
        UniqueConstraint("id"),  # the sign-in pages know no organization yet
        CheckConstraint("protocol in ('oidc', 'saml')", name="protocol"),
        CheckConstraint("status in ('active', 'disabled')", name="status"),
    )
    facts = TableFacts("tenant", "with the organization")

    protocol: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="active")
    issuer: Mapped[str] = mapped_column(Text)
    client_id: Mapped[str | None] = mapped_column(Text)
    client_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    sso_url: Mapped[str | None] = mapped_column(Text)
    certificates: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    enforced: Mapped[bool] = mapped_column(server_default=text("false"))
    default_role: Mapped[str] = mapped_column(Text, server_default="member")
    group_roles: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    last_used_at: Mapped[datetime | None]


class SsoDomain(TenantKey, Base):
    """A mail domain of a connection. It counts once DNS holds `token`; one organization at a time has proven it."""

    __tablename__ = "sso_domains"
    __table_args__ = (
        _of_connection(),
        UniqueConstraint("organization_id", "connection_id", "name"),
        Index("uq_sso_domains_proven", "name", unique=True, postgresql_where=text("verified_at is not null")),
    )
    facts = TableFacts("tenant", "with the connection")

    connection_id: Mapped[uuid.UUID]
    name: Mapped[str] = mapped_column(Text)
    token: Mapped[str] = mapped_column(Text)
    verified_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SsoIdentity(Base):
    """Who a subject of a connection is here. `linked`: the account existed before; its own second factor is still
    asked for, since the identity provider of one organization does not speak for all of that person's."""

    __tablename__ = "sso_identities"
    __table_args__ = (_of_connection(), Index("ix_sso_identities_user_id", "user_id"))
    facts = TableFacts("tenant", "with the connection", personal=("subject",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    linked: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]


class SsoRequest(Base):
    """A browser on its way to an identity provider and back, at most ten minutes. `hash` is of the state (OIDC) or
    RelayState (SAML), `browser` of the cookie that it left with. `code_hash` and `result`: SAML's answer has come and
    waits for that browser to fetch it."""

    __tablename__ = "sso_requests"
    __table_args__ = (
        Index("ix_sso_requests_expires_at", "expires_at"),
        Index("uq_sso_requests_code_hash", "code_hash", unique=True),
    )
    facts = TableFacts("system", "ten minutes", personal=("result",), app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    connection_id: Mapped[uuid.UUID]
    browser: Mapped[bytes] = mapped_column(LargeBinary)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    expires_at: Mapped[datetime]


class SsoAssertion(Base):
    """A SAML assertion that was used: none is good twice."""

    __tablename__ = "sso_assertions"
    __table_args__ = (Index("ix_sso_assertions_expires_at", "expires_at"),)
    facts = TableFacts("system", "until the assertion expires", app=())

    connection_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[datetime]


class ScimToken(TenantKey, Base):
    """What an identity provider shows at /scim/v2. Only the SHA-256 is stored."""

    __tablename__ = "scim_tokens"
    __table_args__ = (_of_connection(), UniqueConstraint("hash"))
    facts = TableFacts("tenant", "with the connection")

    connection_id: Mapped[uuid.UUID]
    name: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ScimResource(TenantKey, Timestamps, Base):
    """A user or group as the identity provider sees it: `document` is what it sent. `user_id` is the person behind a
    user, `unique_name` the userName in the form it is compared in."""

    __tablename__ = "scim_resources"
    __table_args__ = (
        _of_connection(),
        CheckConstraint("resource_type in ('User', 'Group')", name="resource_type"),
        UniqueConstraint(
            "organization_id", "connection_id", "resource_type", "unique_name", name="uq_scim_resources_unique_name"
        ),
        Index("ix_scim_resources_external_id", "organization_id", "connection_id", "external_id"),
        Index("ix_scim_resources_user_id", "organization_id", "user_id"),
    )
    facts = TableFacts("tenant", "with the connection", personal=("document", "unique_name", "external_id"))

    connection_id: Mapped[uuid.UUID]
    resource_type: Mapped[str] = mapped_column(Text)
    unique_name: Mapped[str | None] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
