"""The OAuth2 server: apps, what was granted to them, and the short-lived things in between.

A grant is the family that codes, refresh tokens and access tokens (claim `gid`) belong to: to revoke all of them is
one update of its row. Of every secret only the SHA-256 is stored.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps

NOBODY = uuid.UUID(int=0)
"""`organization_id` of apps that registered themselves: they belong to no tenant, so no tenant can change them."""


def _texts(default: str = "'{}'") -> Any:
    return mapped_column(ARRAY(Text), server_default=text(default))


class OAuthApp(TenantKey, Timestamps, Base):
    """A client (RFC 6749 §2). `client_id` is the TypeID of `id`. `requested_scopes` is what an app that registered
    itself asked for beyond what it gets unapproved."""

    __tablename__ = "oauth_apps"
    __table_args__ = (
        Index("uq_oauth_apps_id", "id", unique=True),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("origin in ('organization', 'dynamic')", name="origin"),
        CheckConstraint("id_token_alg in ('RS256', 'ES256')", name="id_token_alg"),
    )
    facts = TableFacts(
        "tenant", "until deleted; self-registered ones 30 days after their last use", personal=("contacts",)
    )

    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Text, server_default="organization")
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    confidential: Mapped[bool]
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    secret_hint: Mapped[str | None] = mapped_column(Text)
    previous_secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_expires_at: Mapped[datetime | None]
    redirect_uris: Mapped[list[str]] = _texts()
    grant_types: Mapped[list[str]] = _texts()
    scopes: Mapped[list[str]] = _texts()
    requested_scopes: Mapped[list[str]] = _texts()
    client_uri: Mapped[str | None] = mapped_column(Text)
    policy_uri: Mapped[str | None] = mapped_column(Text)
    tos_uri: Mapped[str | None] = mapped_column(Text)
    contacts: Mapped[list[str]] = _texts()
    software_id: Mapped[str | None] = mapped_column(Text)
    software_version: Mapped[str | None] = mapped_column(Text)
    id_token_alg: Mapped[str] = mapped_column(Text, server_default="RS256")
    dpop_bound: Mapped[bool] = mapped_column(server_default=text("false"))
    registration_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_by: Mapped[uuid.UUID | None]
    last_used_at: Mapped[datetime | None]


class OAuthApproval(TenantKey, Base):
    """An organization lets a self-registered app (`id`) have all it asked for."""

    __tablename__ = "oauth_approvals"
    facts = TableFacts("tenant", "until withdrawn")

    approved_by: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OAuthGrant(TenantKey, Base):
    """What one person, or the organization itself (`client_credentials`), granted to one app. It counts once
    `activated_at` is set, when the first token was issued."""

    __tablename__ = "oauth_grants"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint("flow in ('authorization_code', 'device_code', 'client_credentials')", name="flow"),
        Index("ix_oauth_grants_app", "app_id"),
        Index("ix_oauth_grants_user", "user_id"),
        Index(
            "uq_oauth_grants_client_credentials",
            "organization_id",
            "app_id",
            unique=True,
            postgresql_where=text("flow = 'client_credentials' and revoked_at is null"),
        ),
    )
    facts = TableFacts("tenant", "90 days after revocation or last use", app=("select", "insert", "update"))

    app_id: Mapped[uuid.UUID]
    app_name: Mapped[str] = mapped_column(Text)
    user_id: Mapped[uuid.UUID | None]
    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    flow: Mapped[str] = mapped_column(Text, server_default="authorization_code")
    scopes: Mapped[list[str]] = _texts()
    resources: Mapped[list[str]] = _texts()
    jkt: Mapped[str | None] = mapped_column(Text)
    auth_time: Mapped[datetime | None]
    amr: Mapped[list[str]] = _texts()
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    activated_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None] = mapped_column(Text)


class OAuthCode(Base):
    """An authorization code (RFC 6749 §1.3.1), good once within a minute."""

    __tablename__ = "oauth_codes"
    __table_args__ = (Index("ix_oauth_codes_expires_at", "expires_at"),)
    facts = TableFacts("system", "one day", app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    organization_id: Mapped[uuid.UUID]
    grant_id: Mapped[uuid.UUID]
    redirect_uri: Mapped[str] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OAuthRefreshToken(Base):
    """One link of a chain. A used one is kept, so that its second use is noticed."""

    __tablename__ = "oauth_refresh_tokens"
    __table_args__ = (
        Index("ix_oauth_refresh_tokens_grant", "organization_id", "grant_id"),
        Index("ix_oauth_refresh_tokens_expires_at", "expires_at"),
    )
    facts = TableFacts("system", "until it expires", app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    organization_id: Mapped[uuid.UUID]
    grant_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OAuthDevice(Base):
    """A device that waits for a person (RFC 8628). `interval` is the least number of seconds between polls."""

    __tablename__ = "oauth_devices"
    __table_args__ = (
        Index("uq_oauth_devices_user_code", "user_code", unique=True),
        Index("ix_oauth_devices_expires_at", "expires_at"),
        CheckConstraint("status in ('pending', 'approved', 'denied', 'used')", name="status"),
    )
    facts = TableFacts("system", "one day", app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_code: Mapped[str] = mapped_column(Text)
    app_id: Mapped[uuid.UUID]
    scopes: Mapped[list[str]] = _texts()
    resources: Mapped[list[str]] = _texts()
    jkt: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    organization_id: Mapped[uuid.UUID | None]
    grant_id: Mapped[uuid.UUID | None]
    interval: Mapped[int] = mapped_column(SmallInteger, server_default=text("5"))
    last_polled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class OAuthPushedRequest(Base):
    """An authorization request that its client pushed ahead (RFC 9126)."""

    __tablename__ = "oauth_pushed_requests"
    __table_args__ = (Index("ix_oauth_pushed_requests_expires_at", "expires_at"),)
    facts = TableFacts("system", "one day", app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    app_id: Mapped[uuid.UUID]
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OAuthInteraction(Base):
    """A request that waits for a person's decision. Bound to the first session that sees it, answered once."""

    __tablename__ = "oauth_interactions"
    __table_args__ = (Index("ix_oauth_interactions_expires_at", "expires_at"),)
    facts = TableFacts("system", "one day", app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    app_id: Mapped[uuid.UUID]
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    session_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class OAuthSigningKey(Base):
    """A key of the ring. It is published from the start, signs from `signs_from`, and is dropped when everything that
    it signed has expired."""

    __tablename__ = "oauth_signing_keys"
    facts = TableFacts("system", "until what it signed has expired", app=())

    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    alg: Mapped[str] = mapped_column(Text)
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    signs_from: Mapped[datetime]


class OAuthRevokedToken(Base):
    """An access token that was revoked alone (RFC 7009), by its `jti`."""

    __tablename__ = "oauth_revoked_tokens"
    __table_args__ = (Index("ix_oauth_revoked_tokens_expires_at", "expires_at"),)
    facts = TableFacts("system", "until the token expires", app=())

    jti: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]


class OAuthProof(Base):
    """A DPoP proof that was shown (RFC 9449 §11.1), so that it is good once in all processes."""

    __tablename__ = "oauth_proofs"
    __table_args__ = (Index("ix_oauth_proofs_expires_at", "expires_at"),)
    facts = TableFacts("system", "until the proof is too old to be shown again", app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[datetime]
