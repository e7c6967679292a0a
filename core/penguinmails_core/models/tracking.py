"""What tracked links lead to, and who came by them. Only messages that ask for it have any of this."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class TrackedLinks(TenantKey, Base):
    """The destinations of one message's links, in the order in which they stand in its HTML. `id` is the message's."""

    __tablename__ = "tracked_links"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "id"], ["email_messages.organization_id", "email_messages.id"], ondelete="CASCADE"
        ),
    )
    facts = TableFacts("tenant", "with the message", app=("select",))

    urls: Mapped[list[str]] = mapped_column(ARRAY(Text))


class TrackingHit(TenantKey, Base):
    """Somebody loaded the image (`open`) or followed a link (`click`). No address is kept, and nothing made from one.
    `link` is the place in `TrackedLinks.urls`; `verdict` is null until a worker has judged."""

    __tablename__ = "tracking_hits"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "recipient_id"],
            ["email_recipients.organization_id", "email_recipients.id"],
            ondelete="CASCADE",
        ),
        Index("ix_tracking_hits_recipient", "organization_id", "recipient_id", "at"),
        Index("ix_tracking_hits_unjudged", "at", postgresql_where=text("verdict is null")),
        Index("ix_tracking_hits_at", "at"),
        CheckConstraint("kind in ('open', 'click')", name="kind"),
        CheckConstraint("verdict in ('human', 'proxy', 'scanner', 'unknown')", name="verdict"),
    )
    facts = TableFacts("tenant", "PENGUINMAILS_TRACKING_RETENTION (90 days)", personal=("user_agent",), app=("select",))

    recipient_id: Mapped[uuid.UUID]
    kind: Mapped[str] = mapped_column(Text)
    link: Mapped[int | None] = mapped_column(SmallInteger)
    at: Mapped[datetime]
    method: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
    prefetch: Mapped[bool]
    verdict: Mapped[str | None] = mapped_column(Text)
    confidence: Mapped[float | None]
    rule: Mapped[str | None] = mapped_column(Text)
