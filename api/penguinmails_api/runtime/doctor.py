"""One look at everything: the same findings for the command line and, later, the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from penguinmails_api.runtime.connect import database_url, redis_url
from penguinmails_api.runtime.patience import database_reachable
from penguinmails_api.services import Settings
from penguinmails_core.config import ConfigError
from penguinmails_core.content.collector import find_orphans
from penguinmails_core.content.service import ContentService
from penguinmails_core.errors import Unavailable
from penguinmails_core.kit.db import Database
from penguinmails_core.maintenance.repository import server_facts


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    ok: bool
    detail: str
    fix: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Never raises: what cannot be examined is a finding."""
    try:
        url = database_url(settings)
    except ConfigError as error:
        return [Finding("database", False, str(error))]
    try:
        await database_reachable(url, seconds=0)
    except ConfigError as error:
        fix = "check DATABASE_URL and that the server runs; then `penguinmails migrate`"
        return [Finding("database", False, str(error), fix)]
    database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=2)
    try:
        findings = []
        for part, look in _LOOKS:
            try:
                findings.append(await look(database, settings))
            except (OSError, asyncpg.PostgresError, Unavailable, ConfigError, TimeoutError) as error:
                findings.append(Finding(part, False, f"{type(error).__name__}: {error}"))
        return findings
    finally:
        await database.close()


async def _database(database: Database, settings: Settings) -> Finding:
    facts = await server_facts(database.worker)
    detail = f"PostgreSQL {facts.version}, {facts.partitions_ahead} days of event partitions ahead"
    if facts.version_number < 150000:
        return Finding("database", False, detail, "PenguinMails needs PostgreSQL 15 or newer")
    if facts.partitions_ahead < 1:
        return Finding("database", False, detail, "run a worker: it makes tomorrow's partitions")
    return Finding("database", True, detail)


async def _redis(database: Database, settings: Settings) -> Finding:
    url = redis_url(settings)
    if url is None:
        return Finding("redis", True, "not configured: rate limits are per process, workers poll")
    redis = Redis.from_url(url)
    try:
        async with asyncio.timeout(2):
            await redis.ping()
    except (RedisError, OSError, TimeoutError) as error:
        return Finding(
            "redis", False, f"away ({type(error).__name__}); nothing is lost, only slower", "check REDIS_URL"
        )
    finally:
        await redis.aclose()
    return Finding("redis", True, "answers")


async def _content(database: Database, settings: Settings) -> Finding:
    content = await ContentService.open(database, settings.content)
    try:
        await content.ready()
        orphans = await find_orphans(database, content)
    finally:
        await content.close()
    detail = (
        f"{orphans.message_without_content} waiting messages without content, "
        f"{orphans.reference_without_blob} bodies without bytes, "
        f"{orphans.content_without_message} contents without a message, "
        f"{orphans.object_without_blob} objects without a row"
    )
    lost = orphans.message_without_content + orphans.reference_without_blob
    return Finding("content", not lost, detail, "restore the content tier from its backup" if lost else "")


async def _queue(database: Database, settings: Settings) -> Finding:
    facts = await server_facts(database.worker)
    detail = f"{facts.due} recipients due, the oldest for {facts.oldest_due_seconds:.0f} s; {facts.failed} dead letters"
    if facts.oldest_due_seconds > 300:
        return Finding("queue", False, detail, "is `penguinmails worker` running and its SMTP server reachable?")
    return Finding("queue", True, detail)


async def _transactions(database: Database, settings: Settings) -> Finding:
    facts = await server_facts(database.worker)
    detail = f"longest open write transaction: {facts.longest_write_seconds:.0f} s"
    if facts.longest_write_seconds > 60:
        return Finding("transactions", False, detail, "the event log waits for it: end that session")
    return Finding("transactions", True, detail)


_LOOKS: list[tuple[str, Callable[[Database, Settings], Awaitable[Finding]]]] = [
    ("database", _database),
    ("redis", _redis),
    ("content", _content),
    ("queue", _queue),
    ("transactions", _transactions),
]
