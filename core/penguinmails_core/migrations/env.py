"""Runs the migrations of one database; the caller chooses the branches (see `migrations.migrate`)."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from penguinmails_core.models import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        transaction_per_migration=False,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: penguinmails migrate")
run(connection)
