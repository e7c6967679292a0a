"""Schema changes (Alembic). Two branches: `core` for the OLTP tier, `content` for bodies and attachments, which may
live on a server of their own. After every upgrade the security of the register is applied anew."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from penguinmails_core.kit.db import sqlalchemy_url
from penguinmails_core.register import security_statements

SCHEMA_OF_BRANCH = {"core": "public", "content": "content"}


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, branches: tuple[str, ...]) -> None:
    for branch in branches:
        command.upgrade(alembic_config(connection), f"{branch}@head")
    for branch in branches:
        for statement in security_statements(SCHEMA_OF_BRANCH[branch]):
            connection.execute(text(statement.replace(":", r"\:")))
    if "core" in branches:
        connection.execute(text("select ensure_event_partitions(7), ensure_request_log_partitions(7)"))


async def _migrate_one(dsn: str, branches: tuple[str, ...]) -> None:
    engine = create_async_engine(sqlalchemy_url(dsn))
    try:
        async with engine.begin() as connection:
            # One migration at a time: processes that start together must not race.
            await connection.execute(text("select pg_advisory_xact_lock(7275446120)"))
            await connection.run_sync(_upgrade, branches)
    finally:
        await engine.dispose()


async def migrate(dsn: str, content_dsn: str | None = None) -> None:
    """Bring the schema to the newest version and re-apply row-level security. Safe to run again, and by two at once.

    `content_dsn` names the content tier's own server; without it both tiers live in one database.
    """
    if content_dsn is None or content_dsn == dsn:
        await _migrate_one(dsn, ("core", "content"))
    else:
        await _migrate_one(dsn, ("core",))
        await _migrate_one(content_dsn, ("content",))
