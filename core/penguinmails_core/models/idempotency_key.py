"""Idempotency keys and the answers they replay, written in the transaction of the work."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts


class IdempotencyKey(Base):
    """Belongs to one principal: another key of the same organization never sees the answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_created_at", "created_at"),
        {"postgresql_with": {"fillfactor": "90"}},
    )
    facts = TableFacts(
        "tenant",
        "24 hours, then swept",
        partition="none: rows are swept by age through the index on created_at",
        ingest=("select", "insert", "update (hits)"),
    )

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    principal_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    # Names the request that did the work: a different token in the row means that this one is a replay.
    token: Mapped[uuid.UUID]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    response: Mapped[bytes | None] = mapped_column(LargeBinary)
    hits: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
