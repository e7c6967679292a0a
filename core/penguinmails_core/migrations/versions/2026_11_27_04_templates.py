"""Templates of messages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_templates"
down_revision = "core_lanes"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _uuid(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.UUID(), nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "templates",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("workspace_id"),
        _text("mode"),
        _text("name"),
        _text("alias", nullable=True),
        _number("latest_version"),
        _number("published_version", nullable=True),
        _number("previous_version", nullable=True),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_templates_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_templates")),
        sa.UniqueConstraint(
            "organization_id",
            "workspace_id",
            "mode",
            "alias",
            name=op.f("uq_templates_organization_id_workspace_id_mode_alias"),
        ),
    )
    op.create_table(
        "template_versions",
        _uuid("organization_id"),
        _uuid("id"),
        _uuid("template_id"),
        _number("version"),
        _text("subject"),
        _text("format"),
        _text("source"),
        _text("text", nullable=True),
        sa.Column("spintax", sa.Boolean(), nullable=False),
        sa.Column("inline_css", sa.Boolean(), nullable=False),
        sa.Column("variables", postgresql.JSONB(), nullable=False),
        sa.Column("sample_variables", postgresql.JSONB(), nullable=False),
        sa.Column("used", postgresql.JSONB(), nullable=False),
        _text("note", nullable=True),
        _moment("published_at", nullable=True),
        _moment("created_at", now=True),
        sa.CheckConstraint("format in ('html', 'mjml', 'text')", name=op.f("ck_template_versions_format")),
        sa.ForeignKeyConstraint(
            ["organization_id", "template_id"],
            ["templates.organization_id", "templates.id"],
            name=op.f("fk_template_versions_organization_id_template_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_template_versions")),
        sa.UniqueConstraint(
            "organization_id",
            "template_id",
            "version",
            name=op.f("uq_template_versions_organization_id_template_id_version"),
        ),
    )


def downgrade() -> None:
    op.drop_table("template_versions")
    op.drop_table("templates")
