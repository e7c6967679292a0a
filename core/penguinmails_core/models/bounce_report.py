"""What came back: reports that proved which mail they are about, and those that proved nothing."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class BounceReport(TenantKey, Base):
    """What one report says of one recipient, the rule that judged it and what it changed. `digest` is of the mail
    without its trace, `seen` how often it came; `position` counts the recipients that it names."""

    __tablename__ = "bounce_reports"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["email_messages.organization_id", "email_messages.id"],
            ondelete="CASCADE",
        ),
        Index("uq_bounce_reports_digest", "organization_id", "digest", "position", unique=True),
        Index("ix_bounce_reports_message", "organization_id", "message_id"),
        CheckConstraint("kind in ('bounce', 'delay', 'delivered', 'feedback', 'vacation', 'other')", name="kind"),
        CheckConstraint("effect in ('none', 'bounced', 'delayed', 'complained')", name="effect"),
    )
    facts = TableFacts("tenant", "with the message", personal=("reported_address", "diagnostic"), app=("select",))

    workspace_id: Mapped[uuid.UUID]
    message_id: Mapped[uuid.UUID]
    recipient_id: Mapped[uuid.UUID | None]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    position: Mapped[int] = mapped_column(SmallInteger)
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    kind: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    scope: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str | None] = mapped_column(Text)
    hard: Mapped[bool]
    enhanced_code: Mapped[str | None] = mapped_column(Text)
    diagnostic: Mapped[str | None] = mapped_column(Text)
    reported_address: Mapped[str | None] = mapped_column(Text)
    remote_host: Mapped[str | None] = mapped_column(Text)
    reporter: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(Text)
    effect: Mapped[str] = mapped_column(Text)
    suppressed: Mapped[bool]
    seen: Mapped[int] = mapped_column(server_default="1")


class RefusedReport(Base):
    """A mail at the door that proved nothing, for the operator to look at. It changed nothing."""

    __tablename__ = "refused_reports"
    __table_args__ = (
        Index("uq_refused_reports_digest", "digest", unique=True),
        Index("ix_refused_reports_received_at", "received_at"),
    )
    facts = TableFacts("system", "PENGUINMAILS_BOUNCES_KEEP_REFUSED (30 days), the newest 10,000")

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    cause: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text)
    envelope_sender: Mapped[str] = mapped_column(Text)
    reporter: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    excerpt: Mapped[str] = mapped_column(Text)
    seen: Mapped[int] = mapped_column(server_default="1")
