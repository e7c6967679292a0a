"""Migrations build what the models say, can run again and at the same time, and can be undone."""

from __future__ import annotations

import asyncio
import warnings

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.db import sqlalchemy_url
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.migrations import alembic_config, migrate
from penguinmails_core.models import Base


async def _new_database(stack: EmbeddedStack) -> str:
    name = f"migrations_{new_uuid().hex}"
    connection = await asyncpg.connect(stack.database_url)
    try:
        await connection.execute(f"create database {name}")
    finally:
        await connection.close()
    return stack.database_url.rpartition("/")[0] + "/" + name


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"include_schemas": True, "compare_server_default": False})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type")
        found = compare_metadata(context, Base.metadata)
    return [item for item in found if not _is_partition(item)]


def _is_partition(item: object) -> bool:
    text = repr(item)
    return ("events_" in text or "request_logs_" in text) and "ix_events_" not in text


async def test_models_and_migrations_agree(database_url: str) -> None:
    engine = create_async_engine(sqlalchemy_url(database_url))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()


async def test_migrating_again_and_at_once_is_harmless(stack: EmbeddedStack) -> None:
    dsn = await _new_database(stack)
    await asyncio.gather(migrate(dsn), migrate(dsn))
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("select count(*) from alembic_version") == 2
        assert await connection.fetchval("select count(*) from pg_inherits where inhparent = 'events'::regclass") == 10
    finally:
        await connection.close()


async def test_tiers_can_live_on_two_servers(stack: EmbeddedStack) -> None:
    oltp, content = await _new_database(stack), await _new_database(stack)
    await migrate(oltp, content)
    for dsn, present, absent in (
        (oltp, "public.events", "content.blobs"),
        (content, "content.blobs", "public.events"),
    ):
        connection = await asyncpg.connect(dsn)
        try:
            assert await connection.fetchval("select to_regclass($1)", present) is not None
            assert await connection.fetchval("select to_regclass($1)", absent) is None
        finally:
            await connection.close()


@pytest.mark.parametrize("branch", ["core", "content"])
async def test_a_branch_can_be_undone(stack: EmbeddedStack, branch: str) -> None:
    dsn = await _new_database(stack)
    await migrate(dsn)
    engine = create_async_engine(sqlalchemy_url(dsn))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda c: command.downgrade(alembic_config(c), f"{branch}@base"))
    finally:
        await engine.dispose()
    await migrate(dsn)


async def test_partitions_are_made_ahead_and_dropped_after_their_time(stack: EmbeddedStack) -> None:
    dsn = await _new_database(stack)
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "create table events_20200101 partition of events "
            "for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')"
        )
        assert await connection.fetchval("select ensure_event_partitions(9)") == 2
        assert await connection.fetchval("select drop_event_partitions('30 days')") == 1
        assert await connection.fetchval("select to_regclass('events_20200101')") is None
        assert await connection.fetchval("select drop_event_partitions('30 days')") == 0
    finally:
        await connection.close()
