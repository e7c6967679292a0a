"""Organizations, workspaces, memberships, roles, invitations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_tenancy"
down_revision = "core_spine"
branch_labels = None
depends_on = None

_ROLES = "role in ('owner', 'admin', 'developer', 'member', 'viewer', 'billing', 'custom')"
_ONE_ROLE = "(role = 'custom') = (custom_role_id is not null)"
_LIMITED = "not limited or role = 'member'"


def upgrade() -> None:
    _settings()
    _roles_and_members()
    _invitations()


def _settings() -> None:
    op.add_column("organizations", sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False))
    op.add_column("organizations", sa.Column("date_format", sa.Text(), server_default="iso", nullable=False))
    op.add_column("organizations", sa.Column("currency", sa.Text(), server_default="USD", nullable=False))
    op.create_check_constraint(
        op.f("ck_organizations_date_format"), "organizations", "date_format in ('iso', 'day_first', 'month_first')"
    )
    op.add_column("workspaces", sa.Column("timezone", sa.Text(), nullable=True))
    op.add_column("workspaces", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workspaces", sa.Column("created_by", sa.UUID(), nullable=True))
    op.create_check_constraint(
        op.f("ck_workspaces_default_stays"), "workspaces", "not (is_default and archived_at is not null)"
    )


def _roles_and_members() -> None:
    op.create_table(
        "roles",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.UUID(), nullable=True),
        *_times(),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_roles")),
    )
    op.create_index("uq_roles_name", "roles", ["organization_id", sa.literal_column("lower(name)")], unique=True)
    op.add_column("members", sa.Column("custom_role_id", sa.UUID(), nullable=True))
    op.add_column("members", sa.Column("limited", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.drop_constraint(op.f("ck_members_role"), "members")
    op.create_check_constraint(op.f("ck_members_role"), "members", _ROLES)
    op.create_check_constraint(op.f("ck_members_custom_role"), "members", _ONE_ROLE)
    op.create_check_constraint(op.f("ck_members_limited"), "members", _LIMITED)
    op.create_foreign_key(
        op.f("fk_members_organization_id_custom_role_id"),
        "members",
        "roles",
        ["organization_id", "custom_role_id"],
        ["organization_id", "id"],
    )
    op.create_index("ix_members_user", "members", ["user_id"])
    op.create_table(
        "workspace_members",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("member_id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role in ('admin', 'member', 'viewer')", name=op.f("ck_workspace_members_role")),
        sa.ForeignKeyConstraint(
            ["organization_id", "member_id"],
            ["members.organization_id", "members.id"],
            name=op.f("fk_workspace_members_organization_id_member_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "workspace_id"],
            ["workspaces.organization_id", "workspaces.id"],
            name=op.f("fk_workspace_members_organization_id_workspace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "member_id", "workspace_id", name=op.f("pk_workspace_members")),
    )
    op.create_index("ix_workspace_members_workspace", "workspace_members", ["organization_id", "workspace_id"])


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("custom_role_id", sa.UUID(), nullable=True),
        sa.Column("limited", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("workspaces", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.UUID(), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.UUID(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        *_times(),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_invitations_mode")),
        sa.CheckConstraint(_ROLES, name=op.f("ck_invitations_role")),
        sa.CheckConstraint(_ONE_ROLE, name=op.f("ck_invitations_custom_role")),
        sa.CheckConstraint(_LIMITED, name=op.f("ck_invitations_limited")),
        sa.ForeignKeyConstraint(
            ["organization_id", "custom_role_id"],
            ["roles.organization_id", "roles.id"],
            name=op.f("fk_invitations_organization_id_custom_role_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index(
        "uq_invitations_open",
        "invitations",
        ["organization_id", "mode", sa.literal_column("lower(email)")],
        unique=True,
        postgresql_where=sa.text("accepted_at is null and revoked_at is null"),
    )


def _times() -> tuple[sa.Column[object], sa.Column[object]]:
    return (
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("invitations")
    op.drop_table("workspace_members")
    op.drop_index("ix_members_user", "members")
    op.drop_constraint(op.f("fk_members_organization_id_custom_role_id"), "members")
    op.drop_constraint(op.f("ck_members_role"), "members")
    op.drop_column("members", "limited")
    op.drop_column("members", "custom_role_id")
    op.execute("delete from members where role = 'custom'")
    op.create_check_constraint(op.f("ck_members_role"), "members", _ROLES.replace(", 'custom'", ""))
    op.drop_table("roles")
    op.drop_constraint(op.f("ck_workspaces_default_stays"), "workspaces")
    for column in ("created_by", "archived_at", "timezone"):
        op.drop_column("workspaces", column)
    op.drop_constraint(op.f("ck_organizations_date_format"), "organizations")
    for column in ("currency", "date_format", "timezone"):
        op.drop_column("organizations", column)
