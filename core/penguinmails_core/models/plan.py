"""Plans, which organization is on which, and what was agreed with one organization beyond its plan."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, SmallInteger, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from penguinmails_core.models.base import Base, TableFacts, TenantKey


class Plan(Base):
    """A price list entry. In every limit null means: no limit. Prices are in cents of US dollars; null means by
    agreement, or not for sale."""

    __tablename__ = "plans"
    facts = TableFacts("reference", "for ever", app=("select",), ingest=("select",), seeded="is_builtin")

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    price_month_cents: Mapped[int | None]
    price_year_cents: Mapped[int | None]
    # Requests to the API, for the whole organization.
    api_requests_per_second: Mapped[int | None] = mapped_column(BigInteger)
    api_requests_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    api_burst: Mapped[int | None] = mapped_column(BigInteger)
    api_requests_per_day: Mapped[int | None] = mapped_column(BigInteger)
    # Sends: one message to one recipient.
    emails_per_second: Mapped[int | None] = mapped_column(BigInteger)
    max_emails_per_day: Mapped[int | None] = mapped_column(BigInteger)
    max_emails_per_month: Mapped[int | None] = mapped_column(BigInteger)
    # Things an organization may have.
    max_users: Mapped[int | None] = mapped_column(BigInteger)
    max_workspaces: Mapped[int | None] = mapped_column(BigInteger)
    max_domains: Mapped[int | None] = mapped_column(BigInteger)
    max_email_accounts: Mapped[int | None] = mapped_column(BigInteger)
    max_campaigns_per_month: Mapped[int | None] = mapped_column(BigInteger)
    max_warmups: Mapped[int | None] = mapped_column(BigInteger)
    max_contacts: Mapped[int | None] = mapped_column(BigInteger)
    max_storage_gb: Mapped[int | None] = mapped_column(BigInteger)
    dedicated_ips: Mapped[int | None] = mapped_column(BigInteger)
    # What comes with it.
    api_access: Mapped[bool] = mapped_column(server_default=text("true"))
    crm: Mapped[bool] = mapped_column(server_default=text("true"))
    priority_support: Mapped[bool] = mapped_column(server_default=text("false"))
    advanced_analytics: Mapped[bool] = mapped_column(server_default=text("true"))
    white_label: Mapped[bool] = mapped_column(server_default=text("false"))
    sso: Mapped[bool] = mapped_column(server_default=text("true"))
    sla: Mapped[bool] = mapped_column(server_default=text("false"))
    reputation_throttle: Mapped[bool] = mapped_column(server_default=text("true"))
    stripe_product_id: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_builtin: Mapped[bool] = mapped_column(server_default=text("false"))


class OrganizationPlan(Base):
    """The plan of an organization; without a row it is on the default plan of the installation."""

    __tablename__ = "organization_plans"
    facts = TableFacts("tenant", "with the organization", app=("select",), ingest=("select",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    plan: Mapped[str] = mapped_column(Text, ForeignKey("plans.code"))
    set_by: Mapped[str] = mapped_column(Text)
    set_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LimitOverride(TenantKey, Base):
    """One limit of one organization, other than its plan says. Of several the newest that has not ended counts; rows
    are kept when they have ended, so that an old invoice or refusal can be explained."""

    __tablename__ = "limit_overrides"
    __table_args__ = (
        CheckConstraint("value >= 0", name="value"),
        Index("ix_limit_overrides_name", "organization_id", "name"),
    )
    facts = TableFacts("tenant", "with the organization", app=("select",), ingest=("select",))

    name: Mapped[str] = mapped_column(Text)
    value: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ends_at: Mapped[datetime | None]


class ReputationRule(Base):
    """When `rate` of a metric is reached in the window, the send rate is multiplied by `factor`. `min_sample` is the
    least number of delivered (or attempted) mails, `min_count` of complaints or bounces, below which nothing is
    concluded."""

    __tablename__ = "reputation_rules"
    __table_args__ = (
        CheckConstraint("metric in ('complaints', 'bounces')", name="metric"),
        CheckConstraint("factor > 0 and factor < 1", name="factor"),
    )
    facts = TableFacts("reference", "for ever", app=("select",), seeded="is_builtin")

    metric: Mapped[str] = mapped_column(Text, primary_key=True)
    window_hours: Mapped[int] = mapped_column(primary_key=True)
    rate: Mapped[float] = mapped_column(Numeric(7, 5, asdecimal=False), primary_key=True)
    min_sample: Mapped[int]
    min_count: Mapped[int]
    factor: Mapped[float] = mapped_column(Numeric(4, 3, asdecimal=False))
    is_builtin: Mapped[bool] = mapped_column(server_default=text("false"))


class SendingReputation(Base):
    """What the last evaluation found. `factor` multiplies the send rates (1: nothing is held back)."""

    __tablename__ = "sending_reputations"
    facts = TableFacts("tenant", "with the organization", app=("select",), ingest=("select",))

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    factor: Mapped[float] = mapped_column(Numeric(4, 3, asdecimal=False))
    wanted: Mapped[float] = mapped_column(Numeric(4, 3, asdecimal=False))
    reason: Mapped[str | None] = mapped_column(Text)
    reference_per_day: Mapped[int] = mapped_column(BigInteger, server_default="0")
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    checked_at: Mapped[datetime] = mapped_column(server_default=func.now())
