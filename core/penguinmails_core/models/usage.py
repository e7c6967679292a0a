"""What was used: requests as they were counted, sends as they were accepted, and which thresholds were told."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import BigInteger, Date, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts

_KEPT = "400 days"


class UsageCounter(Base):
    """Requests of one day (UTC) by caller and operation. `actor_kind` is `api_key`, `oauth_app` or `user`; 429 answers
    are in `refused`, and in `requests` like all others."""

    __tablename__ = "usage_counters"
    facts = TableFacts("tenant", _KEPT, app=("select",), ingest=("select", "insert", "update"))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    actor_kind: Mapped[str] = mapped_column(Text, primary_key=True)
    actor_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(Text, primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost: Mapped[int] = mapped_column(BigInteger, server_default="0")
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")
    errors: Mapped[int] = mapped_column(BigInteger, server_default="0")


class UsageSends(Base):
    """Accepted mail of one day (UTC) by credential, counted from the messages themselves when the day is over."""

    __tablename__ = "usage_sends"
    facts = TableFacts("tenant", _KEPT, app=("select",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    mode: Mapped[str] = mapped_column(Text, primary_key=True)
    actor_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)
    sends: Mapped[int] = mapped_column(BigInteger)


class UsageRollup(Base):
    """How far `usage_sends` and `delivery_hours` are complete, for the whole installation."""

    __tablename__ = "usage_rollups"
    facts = TableFacts("reference", "for ever", app=("select",))

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    done_until: Mapped[datetime]


class DeliveryHour(Base):
    """Outcomes of live mail by hour: what the sending reputation is computed from."""

    __tablename__ = "delivery_hours"
    facts = TableFacts("tenant", "30 days", app=("select",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    delivered: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bounced: Mapped[int] = mapped_column(BigInteger, server_default="0")
    complained: Mapped[int] = mapped_column(BigInteger, server_default="0")


class UsageThreshold(Base):
    """A threshold (per cent) of a quota that was reached in a period, and told once."""

    __tablename__ = "usage_thresholds"
    facts = TableFacts("tenant", _KEPT, app=("select", "insert"))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    quota: Mapped[str] = mapped_column(Text, primary_key=True)
    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    threshold: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    reached_at: Mapped[datetime] = mapped_column(server_default=func.now())
