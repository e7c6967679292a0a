"""Who belongs to an organization, as what, and who is asked to."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps
from penguinmails_core.roles import CUSTOM, OrganizationRole, WorkspaceRole

_ROLES = ", ".join(f"'{role}'" for role in (*OrganizationRole, CUSTOM))
_WORKSPACE_ROLES = ", ".join(f"'{role}'" for role in WorkspaceRole)
_ONE_ROLE = f"(role = '{CUSTOM}') = (custom_role_id is not null)"
# Only a plain member can be kept to some workspaces: what the other roles are for spans the organization.
_LIMITED = f"not limited or role = '{OrganizationRole.MEMBER}'"


def _custom_role() -> ForeignKeyConstraint:
    """A role that someone has, or is invited to, cannot be deleted."""
    return ForeignKeyConstraint(["organization_id", "custom_role_id"], ["roles.organization_id", "roles.id"])


class Role(TenantKey, Timestamps, Base):
    """A custom role: a named set of scopes of one organization."""

    __tablename__ = "roles"
    __table_args__ = (Index("uq_roles_name", "organization_id", func.lower(text("name")), unique=True),)
    facts = TableFacts("tenant", "with the organization")

    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by: Mapped[uuid.UUID | None]


class Member(TenantKey, Timestamps, Base):
    """A user's place in an organization. `limited`: the member sees only the workspaces that `WorkspaceMember` names,
    with the role there. It is a column of its own so that taking the last workspace away leaves nothing, not all."""

    __tablename__ = "members"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id"),
        CheckConstraint(f"role in ({_ROLES})", name="role"),
        CheckConstraint(_ONE_ROLE, name="custom_role"),
        CheckConstraint(_LIMITED, name="limited"),
        _custom_role(),
        Index("ix_members_user", "user_id"),
    )
    facts = TableFacts("tenant", "with the organization")

    user_id: Mapped[uuid.UUID]
    role: Mapped[str] = mapped_column(Text)
    custom_role_id: Mapped[uuid.UUID | None]
    limited: Mapped[bool] = mapped_column(server_default=text("false"))
    event_sequence: Mapped[int] = mapped_column(server_default="0")


class WorkspaceMember(Base):
    """One workspace of a limited member, and the role there."""

    __tablename__ = "workspace_members"
    __table_args__ = (
        CheckConstraint(f"role in ({_WORKSPACE_ROLES})", name="role"),
        ForeignKeyConstraint(
            ["organization_id", "member_id"], ["members.organization_id", "members.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["organization_id", "workspace_id"], ["workspaces.organization_id", "workspaces.id"], ondelete="CASCADE"
        ),
        Index("ix_workspace_members_workspace", "organization_id", "workspace_id"),
    )
    facts = TableFacts("tenant", "with the membership")

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    member_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(Text)


class Invitation(TenantKey, Timestamps, Base):
    """Someone is asked to join. Only the SHA-256 of the token in the mail is kept. `workspaces` holds
    ``[{"workspace_id": uuid, "role": name}]`` of a limited member. An open one is neither accepted nor revoked."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        CheckConstraint(f"role in ({_ROLES})", name="role"),
        CheckConstraint(_ONE_ROLE, name="custom_role"),
        CheckConstraint(_LIMITED, name="limited"),
        _custom_role(),
        Index(
            "uq_invitations_open",
            "organization_id",
            "mode",
            func.lower(text("email")),
            unique=True,
            postgresql_where=text("accepted_at is null and revoked_at is null"),
        ),
    )
    facts = TableFacts("tenant", "90 days after it ended", personal=("email", "note"))

    mode: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    custom_role_id: Mapped[uuid.UUID | None]
    limited: Mapped[bool] = mapped_column(server_default=text("false"))
    workspaces: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    note: Mapped[str | None] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[uuid.UUID | None]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[uuid.UUID | None]
    revoked_at: Mapped[datetime | None]
    event_sequence: Mapped[int] = mapped_column(server_default="0")
