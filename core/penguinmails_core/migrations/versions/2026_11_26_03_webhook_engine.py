"""What the delivery engine keeps."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "core_webhook_engine"
down_revision = "core_webhook_endpoints"
branch_labels = None
depends_on = None

_FIFO = sa.text("fifo_key is not null and due_at is not null")


def _whole(name: str, *, default: str | None = None, kind: Any = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.Integer(), server_default=default, nullable=default is None)


def _text(name: str, *, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=default is None)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def _endpoint_columns() -> list[sa.Column[Any]]:
    return [
        _whole("throttle_limit"),
        _text("throttle_period"),
        _whole("concurrency", kind=sa.SmallInteger()),
        _text("fifo"),
        _whole("fifo_position", default="0", kind=sa.BigInteger()),
        _moment("throttle_at"),
        _moment("throttled_since"),
        _text("breaker", default="closed"),
        _moment("breaker_until"),
        _whole("breaker_openings", default="0", kind=sa.SmallInteger()),
        _whole("consecutive_failures", default="0"),
        _moment("failing_confirmed_at"),
        _moment("disabled_at"),
        _moment("probe_at"),
        _whole("probes", default="0", kind=sa.SmallInteger()),
        _text("notice"),
    ]


_CHECKS = {
    "throttle": "(throttle_limit is null) = (throttle_period is null) and throttle_limit > 0",
    "throttle_period": "throttle_period in ('second', 'minute')",
    "concurrency": "concurrency > 0",
    "fifo": "fifo in ('endpoint', 'email_id', 'contact_id', 'resource')",
    "breaker": "breaker in ('closed', 'open', 'half_open')",
    "notice": "notice in ('disabled', 'enabled')",
}


def upgrade() -> None:
    for column in _endpoint_columns():
        op.add_column("webhook_endpoints", column)
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_webhook_endpoints_{name}"), "webhook_endpoints", condition)
    for name in ("probe_at", "notice"):
        op.create_index(
            f"ix_webhook_endpoints_{name}",
            "webhook_endpoints",
            [name],
            postgresql_where=sa.text(f"{name} is not null"),
        )
    op.add_column("webhook_deliveries", _text("fifo_key"))
    op.add_column("webhook_deliveries", _whole("fifo_position", kind=sa.BigInteger()))
    op.add_column(
        "webhook_deliveries", sa.Column("leased", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("webhook_deliveries", _whole("throttled_ms", default="0"))
    op.create_index(
        "ix_webhook_deliveries_fifo",
        "webhook_deliveries",
        ["organization_id", "endpoint_id", "fifo_key", "fifo_position"],
        postgresql_where=_FIFO,
    )
    op.create_index(
        "ix_webhook_deliveries_leased",
        "webhook_deliveries",
        ["organization_id", "endpoint_id"],
        postgresql_where=sa.text("leased"),
    )


def downgrade() -> None:
    for name in ("leased", "fifo"):
        op.drop_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries")
    for name in ("throttled_ms", "leased", "fifo_position", "fifo_key"):
        op.drop_column("webhook_deliveries", name)
    for name in ("notice", "probe_at"):
        op.drop_index(f"ix_webhook_endpoints_{name}", "webhook_endpoints")
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_webhook_endpoints_{name}"), "webhook_endpoints")
    for column in reversed(_endpoint_columns()):
        op.drop_column("webhook_endpoints", column.name)
