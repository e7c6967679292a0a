"""Endpoints, events and a receiver for the webhook cases."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from bench.world import World, start_process, stop_process
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.webhook_endpoints.service import secret_context
from penguinmails_webhooks import repository
from penguinmails_webhooks.fanout import Fanout
from penguinmails_webhooks.signing import generate_secret

# About what an email event weighs, 0.6 KB.
_PAYLOAD = """
jsonb_build_object('email_id', 'msg_01k5w8m3xjf2r9v0q4tz7h6cde', 'recipient_id', 'rcp_01k5w8m3xjf2r9v0q4tz7h6cdf',
  'recipient', jsonb_build_object('address', 'ada-' || n || '@example.com', 'name', 'Ada Lovelace', 'kind', 'to'),
  'from', 'hello@penguins.example', 'subject', 'Your order has left the iceberg', 'class', 'transactional',
  'tags', jsonb_build_array('order'), 'metadata', jsonb_build_object('order_id', n::text), 'attempt', 1,
  'message_id', 'msg_01k5w8m3xjf2r9v0q4tz7h6cde@penguins.example')"""
_EVENTS = f"""
insert into events (organization_id, id, type, mode, resource_id, sequence, payload)
select o, gen_random_uuid(), 'email.delivered', 'live', gen_random_uuid(), 1, {_PAYLOAD}
from generate_series(1, $2::int) n cross join unnest($1::uuid[]) o"""
_TABLES = "events, webhook_deliveries, webhook_attempts, webhook_endpoints"


@dataclass(frozen=True, slots=True)
class Sink:
    port: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    async def count(self) -> int:
        return int(await self._get("count"))

    async def arrivals(self) -> list[tuple[str, float]]:
        """(webhook-id, monotonic seconds) since the last call; the first call turns the record on."""
        found: list[tuple[str, float]] = json.loads(await self._get("arrivals"))
        return found

    async def _get(self, path: str) -> bytes:
        def fetch() -> bytes:
            with urllib.request.urlopen(self.url(path)) as answer:
                body: bytes = answer.read()
                return body

        return await asyncio.to_thread(fetch)


@asynccontextmanager
async def open_sink(world: World) -> AsyncIterator[Sink]:
    process = await start_process([sys.executable, "-m", "bench.webhook_sink"], {}, world.folder / "webhook_sink.log")
    try:
        assert process.stdout is not None
        yield Sink(int(await asyncio.wait_for(process.stdout.readline(), 30)))
    finally:
        await stop_process(process)


async def make_endpoints(world: World, urls: Sequence[str], *, organization: UUID | None = None) -> list[UUID]:
    """One endpoint for each URL, in an organization of its own or all in the given one; returns the organizations."""
    made = []
    connection = await asyncpg.connect(world.dsn)
    try:
        for url in urls:
            owner, endpoint = organization or new_uuid(), new_uuid()
            if organization is None:
                await connection.execute("insert into organizations (id, name) values ($1, 'Bench')", owner)
            await connection.execute(
                "insert into webhook_endpoints (organization_id, id, mode, url, events, secret) "
                "values ($1, $2, 'live', $3, $4, $5)",
                owner,
                endpoint,
                url,
                ["*"],
                world.box.seal(generate_secret().encode(), secret_context(endpoint)),
            )
            made.append(owner)
    finally:
        await connection.close()
    return made


async def make_events(world: World, organizations: Sequence[UUID], each: int) -> None:
    connection = await asyncpg.connect(world.dsn)
    try:
        await connection.execute(_EVENTS, list(organizations), each)
    finally:
        await connection.close()


async def fan_out(world: World) -> int:
    """Until the log is read; returns how many deliveries were made."""
    fanout, made, more = Fanout(world.database.worker), 0, True
    while more:
        page = await fanout.round()
        made, more = made + page.created, page.more
    return made


async def claim_cost(world: World, *, rounds: int, size: int) -> float:
    """Median seconds to claim so many deliveries of ten endpoints; nothing is kept of it."""
    keys = await world.database.worker.fetch(
        "select distinct organization_id, endpoint_id from webhook_deliveries limit 10"
    )
    picks = [((row["organization_id"], row["endpoint_id"]), size // len(keys)) for row in keys]
    costs = []
    async with world.database.worker.acquire() as connection:
        for number in range(-2, rounds):
            transaction = connection.transaction()
            await transaction.start()
            await repository.use_indexes(connection, keep_plans=True)
            started = time.perf_counter()
            claimed, _ = await repository.claim(connection, picks, timedelta(minutes=1), timedelta(days=5))
            if number >= 0:
                costs.append(time.perf_counter() - started)
            await transaction.rollback()
            if len(claimed) != size:
                raise RuntimeError(f"{len(claimed)} deliveries instead of {size}")
    return statistics.median(costs)


async def clear(world: World) -> None:
    connection = await asyncpg.connect(world.dsn)
    try:
        await connection.execute(f"truncate {_TABLES} cascade")
        await connection.execute("delete from consumer_cursors")
    finally:
        await connection.close()
