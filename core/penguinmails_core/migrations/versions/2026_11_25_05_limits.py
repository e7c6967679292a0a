"""Plans, overrides, usage."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "core_limits"
down_revision = "core_oauth"
branch_labels = None
depends_on = None

_TABLES = (
    "plans",
    "organization_plans",
    "limit_overrides",
    "reputation_rules",
    "sending_reputations",
    "usage_counters",
    "usage_sends",
    "usage_rollups",
    "delivery_hours",
    "usage_thresholds",
)
_LIMITS = (
    "api_requests_per_second",
    "api_requests_per_minute",
    "api_burst",
    "api_requests_per_day",
    "emails_per_second",
    "max_emails_per_day",
    "max_emails_per_month",
    "max_users",
    "max_workspaces",
    "max_domains",
    "max_email_accounts",
    "max_campaigns_per_month",
    "max_warmups",
    "max_contacts",
    "max_storage_gb",
    "dedicated_ips",
)
_FLAGS = {
    "api_access": True,
    "crm": True,
    "priority_support": False,
    "advanced_analytics": True,
    "white_label": False,
    "sso": True,
    "sla": False,
    "reputation_throttle": True,
}


def _limits(*values: int | None) -> dict[str, int | None]:
    return dict(zip(_LIMITS, values, strict=True))


# A day's sends are a fifth of the month's: nobody burns a month in an hour, and a busy day still fits.
_PLANS: tuple[dict[str, Any], ...] = (
    {
        "code": "starter",
        "name": "Starter",
        "price_month_cents": 4_900,
        "price_year_cents": 47_000,
        **_limits(10, 60, 100, None, 10, 2_000, 10_000, 2, 3, 5, 5, 10, 5, 5_000, 5, 0),
        **_FLAGS,
        "crm": False,
        "advanced_analytics": False,
        "sso": False,
    },
    {
        "code": "professional",
        "name": "Professional",
        "price_month_cents": 14_900,
        "price_year_cents": 143_000,
        **_limits(50, 300, 500, None, 30, 10_000, 50_000, 5, 10, 15, 25, 50, 25, 50_000, 25, 0),
        **_FLAGS,
        "sso": False,
    },
    {
        "code": "business",
        "name": "Business",
        "price_month_cents": 39_900,
        "price_year_cents": 383_000,
        **_limits(200, 1_000, 2_000, None, 100, 40_000, 200_000, 15, None, None, 100, None, 100, 250_000, 100, 1),
        **_FLAGS,
        "priority_support": True,
        "sso": False,
    },
    {
        "code": "enterprise",
        "name": "Enterprise",
        "price_month_cents": None,
        "price_year_cents": None,
        **_limits(200, 1_000, 2_000, *(None,) * 13),
        **_FLAGS,
        "priority_support": True,
        "white_label": True,
        "sla": True,
    },
    {
        "code": "self_hosted",
        "name": "Self-hosted",
        "price_month_cents": None,
        "price_year_cents": None,
        **_limits(*(None,) * 16),
        **_FLAGS,
        "white_label": True,
        "reputation_throttle": False,
    },
)

# (metric, window, rate, least sample, least count, factor). Gmail and Yahoo ask senders to stay under 0.1 % complaints
# and never to reach 0.3 %; list hygiene is in doubt from 5 % bounces on.
_RULES = (
    ("complaints", 24, 0.001, 500, 3, 0.75),
    ("complaints", 24, 0.003, 200, 3, 0.5),
    ("complaints", 24, 0.005, 200, 3, 0.25),
    ("complaints", 24, 0.01, 100, 3, 0.05),
    ("complaints", 168, 0.001, 2_000, 5, 0.75),
    ("complaints", 168, 0.003, 1_000, 5, 0.5),
    ("complaints", 168, 0.005, 1_000, 5, 0.25),
    ("bounces", 24, 0.05, 100, 10, 0.75),
    ("bounces", 24, 0.08, 100, 10, 0.5),
    ("bounces", 24, 0.12, 100, 10, 0.25),
    ("bounces", 24, 0.2, 50, 10, 0.05),
    ("bounces", 168, 0.05, 500, 25, 0.75),
    ("bounces", 168, 0.08, 500, 25, 0.5),
)


def _org() -> sa.Column[Any]:
    return sa.Column("organization_id", sa.UUID(), nullable=False)


def _text(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _moment(name: str, default: str | None = None, nullable: bool = False) -> sa.Column[Any]:
    default_ = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default_, nullable=nullable)


def _flag(name: str, default: bool) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text(str(default).lower()), nullable=False)


def _plans() -> None:
    plans = op.create_table(
        "plans",
        _text("code"),
        _text("name"),
        sa.Column("position", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("price_month_cents", sa.Integer(), nullable=True),
        sa.Column("price_year_cents", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _LIMITS),
        *(_flag(name, default) for name, default in _FLAGS.items()),
        _text("stripe_product_id", nullable=True),
        _flag("is_active", True),
        _flag("is_builtin", False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_plans")),
    )
    op.bulk_insert(plans, [{"position": i, "is_builtin": True, **plan} for i, plan in enumerate(_PLANS)])
    op.create_table(
        "organization_plans",
        _org(),
        _text("plan"),
        _text("set_by"),
        _moment("set_at", "now()"),
        sa.ForeignKeyConstraint(["plan"], ["plans.code"], name=op.f("fk_organization_plans_plan")),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organization_plans")),
    )
    op.create_table(
        "limit_overrides",
        _org(),
        sa.Column("id", sa.UUID(), nullable=False),
        _text("name"),
        sa.Column("value", sa.BigInteger(), nullable=True),
        _text("reason"),
        _text("created_by"),
        _moment("created_at", "clock_timestamp()"),
        _moment("ends_at", nullable=True),
        sa.CheckConstraint("value >= 0", name=op.f("ck_limit_overrides_value")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_limit_overrides")),
    )
    op.create_index("ix_limit_overrides_name", "limit_overrides", ["organization_id", "name"])


def _reputation() -> None:
    rules = op.create_table(
        "reputation_rules",
        _text("metric"),
        sa.Column("window_hours", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Numeric(7, 5), nullable=False),
        sa.Column("min_sample", sa.Integer(), nullable=False),
        sa.Column("min_count", sa.Integer(), nullable=False),
        sa.Column("factor", sa.Numeric(4, 3), nullable=False),
        _flag("is_builtin", False),
        sa.CheckConstraint("metric in ('complaints', 'bounces')", name=op.f("ck_reputation_rules_metric")),
        sa.CheckConstraint("factor > 0 and factor < 1", name=op.f("ck_reputation_rules_factor")),
        sa.PrimaryKeyConstraint("metric", "window_hours", "rate", name=op.f("pk_reputation_rules")),
    )
    names = ("metric", "window_hours", "rate", "min_sample", "min_count", "factor")
    op.bulk_insert(rules, [dict(zip(names, rule, strict=True)) | {"is_builtin": True} for rule in _RULES])
    op.create_table(
        "sending_reputations",
        _org(),
        sa.Column("factor", sa.Numeric(4, 3), nullable=False),
        sa.Column("wanted", sa.Numeric(4, 3), nullable=False),
        _text("reason", nullable=True),
        _count("reference_per_day"),
        _moment("changed_at", "now()"),
        _moment("checked_at", "now()"),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_sending_reputations")),
    )
    op.create_table(
        "delivery_hours",
        _org(),
        _moment("hour"),
        *(_count(name) for name in ("delivered", "bounced", "complained")),
        sa.PrimaryKeyConstraint("organization_id", "hour", name=op.f("pk_delivery_hours")),
    )


def _usage() -> None:
    day = ("organization_id", "day", "mode")
    op.create_table(
        "usage_counters",
        _org(),
        sa.Column("day", sa.Date(), nullable=False),
        _text("mode"),
        _text("actor_kind"),
        sa.Column("actor_id", sa.UUID(), nullable=False),
        _text("operation"),
        *(_count(name) for name in ("requests", "cost", "refused", "errors")),
        sa.PrimaryKeyConstraint(*day, "actor_kind", "actor_id", "operation", name=op.f("pk_usage_counters")),
    )
    op.create_table(
        "usage_sends",
        _org(),
        sa.Column("day", sa.Date(), nullable=False),
        _text("mode"),
        sa.Column("actor_id", sa.UUID(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("sends", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*day, "actor_id", name=op.f("pk_usage_sends")),
    )
    op.create_table(
        "usage_rollups",
        _text("name"),
        _moment("done_until"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_usage_rollups")),
    )
    op.create_table(
        "usage_thresholds",
        _org(),
        _text("quota"),
        _moment("period_start"),
        sa.Column("threshold", sa.SmallInteger(), nullable=False),
        _moment("reached_at", "now()"),
        sa.PrimaryKeyConstraint(
            "organization_id", "quota", "period_start", "threshold", name=op.f("pk_usage_thresholds")
        ),
    )


def upgrade() -> None:
    _plans()
    _reputation()
    _usage()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
