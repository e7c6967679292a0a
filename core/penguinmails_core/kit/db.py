"""Connections to PostgreSQL, one kind per role (see `penguinmails_core.register`).

`Database.tenant(organization_id)` is the everyday door: a SQLAlchemy session in one transaction, bound by row-level
security to that organization. The hot paths use the plain asyncpg pools `ingest` and `worker`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from penguinmails_core.kit import dry_run
from penguinmails_core.register import APP_ROLE, INGEST_ROLE, WORKER_ROLE

# What says that the database is away, rather than that it refused something.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)
# Whatever a statement may fail with: for loops that go on and try again.
FAILED = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

Pool = Any  # asyncpg ships no types; `asyncpg.Pool`
Connection = Any  # `asyncpg.Connection`


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _json_codecs(connection: Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_dumps, decoder=orjson.loads, format="text")


async def _no_reset(_: Connection) -> None:
    """Every use of a hot pool leaves no session state, so the extra round trip of a reset buys nothing."""


def sqlalchemy_url(dsn: str) -> str:
    for scheme in ("postgresql://", "postgres://"):
        if dsn.startswith(scheme):
            return "postgresql+asyncpg://" + dsn[len(scheme) :]
    raise ValueError("a database URL starts with postgresql://")


async def create_pool(dsn: str, role: str, *, size: int, name: str) -> Pool:
    """An asyncpg pool whose connections act as `role` and speak JSON in Python values.

    The worker role plans each of its statements anew: they are few and large, and a plan that was kept from when the
    tables were empty reads them whole once they are full (seen: claims seven times as slow until the next analyze).
    """
    settings = {"role": role, "application_name": f"penguinmails {name}"}
    if role == WORKER_ROLE:
        settings["plan_cache_mode"] = "force_custom_plan"
    return await asyncpg.create_pool(
        dsn,
        min_size=0,  # no background task that complains while the server restarts
        max_size=size,
        init=_json_codecs,
        reset=_no_reset,
        server_settings=settings,
        command_timeout=60,
    )


@asynccontextmanager
async def inside(session: AsyncSession, organization_id: uuid.UUID) -> AsyncIterator[None]:
    """For the one case in which a transaction spans two organizations: bound to that one, then to the one before."""
    bind = text("select set_config('app.organization_id', :organization, true)")
    before = await session.scalar(text("select current_setting('app.organization_id', true)"))
    await session.execute(bind, {"organization": str(organization_id)})
    yield
    await session.flush()
    await session.execute(bind, {"organization": before})


class Database:
    """The pools of one process. Open with `await Database.open(...)`, end with `await close()`."""

    def __init__(
        self, dsn: str, engine: AsyncEngine, ingest: Pool, worker: Pool, info: Mapping[str, Any] | None = None
    ) -> None:
        self.dsn = dsn
        self.engine = engine
        self.ingest = ingest
        self.worker = worker
        self.info = dict(info or {})
        self._sessions = async_sessionmaker(engine, expire_on_commit=False, info=self.info)

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        pool_size: int = 10,
        ingest_connections: int = 2,
        worker_connections: int = 6,
        info: Mapping[str, Any] | None = None,
    ) -> Database:
        """`info`: settings of the installation that rules need wherever they are applied; every session has them in
        `session.info`."""
        engine = create_async_engine(
            sqlalchemy_url(dsn),
            pool_size=pool_size,
            max_overflow=0,
            pool_pre_ping=False,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            connect_args={"server_settings": {"role": APP_ROLE, "application_name": "penguinmails app"}},
        )
        ingest = await create_pool(dsn, INGEST_ROLE, size=ingest_connections, name="ingest")
        worker = await create_pool(dsn, WORKER_ROLE, size=worker_connections, name="worker")
        return cls(dsn, engine, ingest, worker, info)

    @asynccontextmanager
    async def tenant(self, organization_id: uuid.UUID) -> AsyncIterator[AsyncSession]:
        """One transaction bound to one organization; commits at the end, rolls back on any exception. A rehearsal
        (`kit/dry_run.py`) rolls back too, after the database has checked all that a commit would check."""
        async with self._sessions() as session, session.begin() as transaction:
            await session.execute(
                text("select set_config('app.organization_id', :organization, true)"),
                {"organization": str(organization_id)},
            )
            yield session
            if dry_run.active():
                await session.flush()
                await session.execute(text("set constraints all immediate"))
                session.expunge_all()  # rows that were read stay readable
                await transaction.rollback()

    async def close(self) -> None:
        await self.engine.dispose()
        for pool in (self.ingest, self.worker):
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()


__all__ = ["Connection", "Database", "Pool", "create_pool", "inside", "sqlalchemy_url"]
