"""What people may get mail about: lists with a name that people read."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey, Timestamps


class Topic(TenantKey, Timestamps, Base):
    """`list` is what messages say in `unsubscribe.list`. `public`: offered to everybody on the preference page, not
    only to those who had mail of it."""

    __tablename__ = "topics"
    __table_args__ = (
        UniqueConstraint("organization_id", "mode", "list"),
        CheckConstraint("mode in ('live', 'test')", name="mode"),
    )
    facts = TableFacts("tenant", "until deleted")

    mode: Mapped[str] = mapped_column(Text)
    list: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    public: Mapped[bool] = mapped_column(server_default=text("true"))
