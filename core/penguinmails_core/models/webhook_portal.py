"""Links into the webhook portal, each for one of an organization's own customers."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class WebhookPortalLink(TenantKey, Base):
    """Whoever has the link manages the webhook endpoints of `consumer`, within `events`. Only the SHA-256 of its token
    is stored. An API key made it, or a person in a browser, and the link ends with what they may do."""

    __tablename__ = "webhook_portal_links"
    __table_args__ = (
        CheckConstraint("mode in ('live', 'test')", name="mode"),
        Index("ix_webhook_portal_links_consumer", "organization_id", "consumer", "id"),
        Index("ix_webhook_portal_links_expires_at", "expires_at"),
    )
    # `ingest` looks a token up before the organization is known.
    facts = TableFacts(
        "tenant",
        "30 days after it ended",
        personal=("consumer",),
        app=("select", "insert", "update"),
        ingest=("select",),
    )

    workspace_id: Mapped[uuid.UUID | None]
    mode: Mapped[str] = mapped_column(Text)
    consumer: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    read_only: Mapped[bool]
    theme: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    return_url: Mapped[str | None] = mapped_column(Text)
    frame_ancestors: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    created_by_key_id: Mapped[uuid.UUID | None]
    created_by_user_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
