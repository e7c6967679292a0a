"""Lanes of the sender: what each may do now, what it did and why, who sends in it.

A lane is one source and one provider group, shared by everybody who sends from that source. What is said of it as a
whole (`lanes`, `lane_decisions`) is read by those who send in it; what tells of one organization's mail (`lane_days`,
`lane_evidence`, `sending_pauses`) by that organization alone.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, Index, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey

_MEMBER = "exists (select from lane_members m where m.lane_id = {lane} and m.organization_id = {{organization}})"


class RecipientDomain(Base):
    """Which provider takes a domain's mail, as its MX said. It says nothing of who mailed it."""

    __tablename__ = "recipient_domains"
    __table_args__ = (
        Index("ix_recipient_domains_recheck", "recheck_at"),
        Index("ix_recipient_domains_updated", "updated_at"),
    )
    facts = TableFacts("system", "90 days after the domain was last mailed", ingest=("select",))

    domain: Mapped[str] = mapped_column(Text, primary_key=True)
    provider_group: Mapped[str] = mapped_column(Text)
    mx_host: Mapped[str | None] = mapped_column(Text)
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    recheck_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Lane(Base):
    """`hits`: replies that rules have counted, and `tokens` the bucket at `tokens_at`: the engine's alone."""

    __tablename__ = "lanes"
    __table_args__ = (
        UniqueConstraint("source", "provider_group"),
        Index("ix_lanes_updated", "updated_at"),
    )
    facts = TableFacts(
        "reference",
        "for ever: one row for each source and provider",
        app=(
            "select (id, source, provider_group, paused_until, pause_rule, pause_reason, factor, connections, "
            "crawl_until, crawl_per_second, slowed_at, day, sent_today, daily_cap, cap_reason, created_at, updated_at)",
        ),
        policy=_MEMBER.format(lane="lanes.id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    provider_group: Mapped[str] = mapped_column(Text)
    paused_until: Mapped[datetime | None]
    pause_rule: Mapped[str | None] = mapped_column(Text)
    pause_reason: Mapped[str | None] = mapped_column(Text)
    factor: Mapped[float] = mapped_column(server_default="1")
    connections: Mapped[int | None] = mapped_column(SmallInteger)
    crawl_until: Mapped[datetime | None]
    crawl_per_second: Mapped[float | None]
    slowed_at: Mapped[datetime | None]
    tokens: Mapped[float] = mapped_column(server_default="0")
    tokens_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    day: Mapped[date | None] = mapped_column(Date)
    sent_today: Mapped[int] = mapped_column(server_default="0")
    daily_cap: Mapped[int | None]
    cap_reason: Mapped[str | None] = mapped_column(Text)
    hits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class LaneMember(Base):
    """An organization that has mail in a lane, and whether it holds its own mail back there."""

    __tablename__ = "lane_members"
    facts = TableFacts("tenant", "for ever", app=("select", "update"))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    lane_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime | None]
    pause_note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class LaneDay(Base):
    """Answers that an organization's mail got in a lane on one day (UTC)."""

    __tablename__ = "lane_days"
    __table_args__ = (Index("ix_lane_days_lane", "lane_id", "day"),)
    facts = TableFacts("tenant", "400 days", app=("select",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    lane_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    sent: Mapped[int] = mapped_column(server_default="0")
    deferred: Mapped[int] = mapped_column(server_default="0")
    bounced: Mapped[int] = mapped_column(server_default="0")
    blocked: Mapped[int] = mapped_column(server_default="0")
    complained: Mapped[int] = mapped_column(server_default="0")


class LaneDecision(Base):
    """What a lane did, by which rule. `before` and `after` are its limits; whose mail was the cause is not in it. One
    with an `organization_id` concerns that one alone."""

    __tablename__ = "lane_decisions"
    __table_args__ = (Index("ix_lane_decisions_lane", "lane_id", "id"),)
    facts = TableFacts(
        "reference",
        "400 days",
        app=("select",),
        policy="(organization_id is null or organization_id = {organization}) and "
        + _MEMBER.format(lane="lane_decisions.lane_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    lane_id: Mapped[uuid.UUID]
    organization_id: Mapped[uuid.UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    action: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    replies: Mapped[int] = mapped_column(server_default="0")
    until: Mapped[datetime | None]
    before: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    after: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")


class LaneEvidence(TenantKey, Base):
    """The provider's words behind a decision, kept with the organization whose mail they answered."""

    __tablename__ = "lane_evidence"
    __table_args__ = (Index("ix_lane_evidence_decision", "organization_id", "decision_id"),)
    facts = TableFacts("tenant", "400 days", personal=("reply",), app=("select",))

    decision_id: Mapped[uuid.UUID]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    from_domain: Mapped[str] = mapped_column(Text)
    recipient_domain: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced_code: Mapped[str | None] = mapped_column(Text)
    reply: Mapped[str] = mapped_column(Text)


class SendingPause(Base):
    """A sender's domain that sends nothing until then: what providers said is about its records."""

    __tablename__ = "sending_pauses"
    facts = TableFacts("tenant", "30 days after its end", app=("select", "delete"))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    domain: Mapped[str] = mapped_column(Text, primary_key=True)
    until: Mapped[datetime]
    rule: Mapped[str] = mapped_column(Text)
    reply: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SenderWorker(Base):
    """Processes that send, so that each takes its share of a lane's connections."""

    __tablename__ = "sender_workers"
    facts = TableFacts("system", "until it has been silent for an hour")

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Warmup(Base):
    """The growth of a source (or of a sender's domain on it) towards one provider. `domain` is empty for the source."""

    __tablename__ = "warmups"
    __table_args__ = (
        UniqueConstraint("source", "domain", "provider_group"),
        CheckConstraint("state in ('growing', 'held', 'stopped', 'done')", name="state"),
    )
    facts = TableFacts("system", "for ever: one row for each source, domain and provider")

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    domain: Mapped[str] = mapped_column(Text, server_default="")
    provider_group: Mapped[str] = mapped_column(Text)
    schedule: Mapped[str] = mapped_column(Text)
    target: Mapped[int]
    state: Mapped[str] = mapped_column(Text, server_default="growing")
    step: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    cap: Mapped[int]
    reason: Mapped[str] = mapped_column(Text, server_default="")
    good_days: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    bad_days: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    last_day: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


__all__ = [
    "Lane",
    "LaneDay",
    "LaneDecision",
    "LaneEvidence",
    "LaneMember",
    "RecipientDomain",
    "SenderWorker",
    "SendingPause",
    "Warmup",
]
