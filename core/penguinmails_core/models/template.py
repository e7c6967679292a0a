"""Templates of messages and their versions, which never change.

Bodies stand here and not in the content tier: they are few, are no personal data, and must be there, under row-level
security, in the transaction that publishes them. What is made of them for a person goes to the content tier.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class Template(TenantKey, Timestamps, Base):
    """Versions are named by their numbers. `published_version` is what is sent; `previous_version` is what was sent
    before, which a rollback brings back."""

    __tablename__ = "templates"
    __table_args__ = (
        UniqueConstraint("organization_id", "workspace_id", "mode", "alias"),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
    )
    facts = TableFacts("tenant", "until deleted")

    workspace_id: Mapped[uuid.UUID]
    mode: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    alias: Mapped[str | None] = mapped_column(Text)
    latest_version: Mapped[int]
    published_version: Mapped[int | None]
    previous_version: Mapped[int | None]


class TemplateVersion(TenantKey, Base):
    """`source` is HTML, MJML or, of format `text`, nothing; `text` null: made from the HTML. `variables` is a list of
    {name, type, required, fallback, description}, `used` the names that the parts use."""

    __tablename__ = "template_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "template_id"], ["templates.organization_id", "templates.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("organization_id", "template_id", "version"),
        CheckConstraint("format in ('html', 'mjml', 'text')", name="format"),
    )
    facts = TableFacts("tenant", "with the template", app=("select", "insert", "update (published_at)"))

    template_id: Mapped[uuid.UUID]
    version: Mapped[int]
    subject: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    spintax: Mapped[bool]
    inline_css: Mapped[bool]
    variables: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    sample_variables: Mapped[dict[str, Any]] = mapped_column(JSONB)
    used: Mapped[list[str]] = mapped_column(JSONB)
    note: Mapped[str | None] = mapped_column(Text)
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
