"""How people prove who they are: passwords, second factors, passkeys, browser sessions and one-time links.

They belong to a person, not to an organization, so the bound roles have no part in them; `users` holds the person.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, Timestamps


def _user(*, primary_key: bool = False) -> Any:
    return mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=primary_key)


class UserCredential(Timestamps, Base):
    """What one person signs in with. `totp_secret` is sealed; it counts once `totp_confirmed_at` is set.
    `totp_last_step` is the newest time step that was used: no code is good twice (RFC 6238 §5.2)."""

    __tablename__ = "user_credentials"
    facts = TableFacts("system", "with the user", app=())

    user_id: Mapped[uuid.UUID] = _user(primary_key=True)
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_changed_at: Mapped[datetime | None]
    email_verified_at: Mapped[datetime | None]
    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_confirmed_at: Mapped[datetime | None]
    totp_last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    webauthn_handle: Mapped[bytes] = mapped_column(LargeBinary, unique=True)


class RecoveryCode(Base):
    """One of ten ways in without the second factor; deleted when used. Only the SHA-256 is stored."""

    __tablename__ = "recovery_codes"
    facts = TableFacts("system", "until used or replaced", app=())

    user_id: Mapped[uuid.UUID] = _user(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Passkey(Base):
    """A WebAuthn credential with user verification. `sign_count` stays 0 for passkeys that are synchronised."""

    __tablename__ = "passkeys"
    __table_args__ = (Index("ix_passkeys_user_id", "user_id"),)
    facts = TableFacts("system", "with the user", personal=("name",), app=())

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = _user()
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    backed_up: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]


class WebauthnChallenge(Base):
    """A question a browser may answer once, within five minutes, for one purpose. `browser` is a hash of the cookie
    of the browser that asked."""

    __tablename__ = "webauthn_challenges"
    __table_args__ = (Index("ix_webauthn_challenges_expires_at", "expires_at"),)
    facts = TableFacts("system", "five minutes", app=())

    browser: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text, primary_key=True)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


class UserSession(Base):
    """A browser that is signed in, or between its password and its second factor (`pending`). Only the SHA-256 of the
    cookie is stored. `organization_id` is where the person works at the moment, `workspace_id` the workspace they have
    chosen there, if any."""

    __tablename__ = "user_sessions"
    __table_args__ = (
        Index("ix_user_sessions_user_id", "user_id"),
        Index("ix_user_sessions_expires_at", "expires_at"),
        CheckConstraint("state in ('pending', 'active')", name="state"),
    )
    facts = TableFacts("system", "until it ends, at most 30 days", personal=("address", "user_agent"), app=())

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[uuid.UUID] = _user()
    organization_id: Mapped[uuid.UUID | None]
    workspace_id: Mapped[uuid.UUID | None]
    state: Mapped[str] = mapped_column(Text)
    amr: Mapped[list[str]] = mapped_column(ARRAY(Text))
    tries: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    auth_time: Mapped[datetime]
    address: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class IdentityLink(Base):
    """A single-use link in an e-mail. `user_id` is null while there is no such person yet (`signup`); `data` is what
    the purpose needs, for example the name that was given."""

    __tablename__ = "identity_links"
    __table_args__ = (
        Index("ix_identity_links_expires_at", "expires_at"),
        Index("ix_identity_links_user_id", "user_id"),
        CheckConstraint("purpose in ('signup', 'reset', 'email')", name="purpose"),
    )
    facts = TableFacts("system", "until 7 days after it expires", personal=("email", "data"), app=())

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
