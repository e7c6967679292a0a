"""What a webhook endpoint can be told."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "core_webhook_endpoints"
down_revision = "core_platform"
branch_labels = None
depends_on = None

_CHECKS = {
    "signature": "signature in ('hmac', 'ed25519')",
    "payload": "payload in ('full', 'thin')",
    "client_certificate": "(client_certificate is null) = (client_key is null)",
}


def _column(name: str, kind: Any, default: str | None = None) -> sa.Column[Any]:
    server_default = sa.text(default) if default is not None else None
    return sa.Column(name, kind, server_default=server_default, nullable=default is None)


def _columns() -> list[sa.Column[Any]]:
    return [
        _column("secret_id", sa.Uuid(), "gen_random_uuid()"),
        _column("secret_hint", sa.Text()),
        _column("secret_created_at", sa.DateTime(timezone=True), "now()"),
        _column("signature", sa.Text(), "'hmac'"),
        _column("public_key", sa.Text()),
        _column("older_secrets", JSONB(), "'[]'"),
        _column("payload", sa.Text(), "'full'"),
        _column("schema_version", sa.SmallInteger(), "1"),
        _column("filter", JSONB()),
        _column("headers", JSONB(), "'{}'"),
        _column("secret_header_names", ARRAY(sa.Text()), "'{}'"),
        _column("secret_headers", sa.LargeBinary()),
        _column("client_certificate", sa.Text()),
        _column("client_key", sa.LargeBinary()),
    ]


def upgrade() -> None:
    op.drop_column("webhook_endpoints", "previous_secret")
    op.drop_column("webhook_endpoints", "previous_secret_expires_at")
    for column in _columns():
        op.add_column("webhook_endpoints", column)
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_webhook_endpoints_{name}"), "webhook_endpoints", condition)


def downgrade() -> None:
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_webhook_endpoints_{name}"), "webhook_endpoints")
    for column in reversed(_columns()):
        op.drop_column("webhook_endpoints", column.name)
    op.add_column("webhook_endpoints", sa.Column("previous_secret", sa.LargeBinary(), nullable=True))
    op.add_column(
        "webhook_endpoints", sa.Column("previous_secret_expires_at", sa.DateTime(timezone=True), nullable=True)
    )
