"""Many clients at once against one quota, and a Redis that is killed while they are at it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.rate_limits import limiter
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.audit.actor import Actor
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.embedded.valkey import EmbeddedValkey
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.limits import service
from tests.fixtures.factories import Tenant, make_domain

CLIENTS = 200
MESSAGE = {"from": "hello@acme.test", "to": ["ada@example.com"], "subject": "Hi", "text": "Hello"}


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores run the clients, two processes and both servers: Valkey may be late here without being away."""
    monkeypatch.setattr(limiter, "REDIS_TIMEOUT", 5.0)


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    """One that may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="pm-test-"))
    folder.chmod(0o755)
    server = EmbeddedValkey(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def processes(database: Database, stack: EmbeddedStack, valkey: EmbeddedValkey) -> AsyncIterator[list[Services]]:
    """Two API processes, as far as limits are concerned: they share PostgreSQL and Valkey, and nothing else."""
    settings = Settings(api=ApiSettings(), database=DatabaseSettings(pool_size=2, ingest_connections=1))
    async with AsyncExitStack() as opened:
        found = []
        for _ in range(2):
            services = await open_services(stack.database_url, valkey.url, settings, box=SecretBox([b"k" * 32]))
            opened.push_async_callback(services.close)
            found.append(services)
        yield found


def clients(processes: list[Services], key: str) -> list[httpx.AsyncClient]:
    gateways = [create_gateway(services) for services in processes]
    return [
        httpx.AsyncClient(
            transport=httpx.ASGITransport(gateways[number % len(gateways)], client=(f"192.0.2.{number}", 40000)),
            base_url="http://api.test",
            headers={"Authorization": f"Bearer {key}"},
        )
        for number in range(CLIENTS)
    ]


async def limit(database: Database, tenant: Tenant, **limits: int) -> None:
    for name, value in limits.items():
        await service.override(database, Actor.operator(tenant.id), name, value, reason="a test")


async def test_a_burst_never_gets_more_than_the_quota(
    processes: list[Services], tenant: Tenant, database: Database
) -> None:
    quota, each = 400, 4
    await limit(database, tenant, api_requests_per_day=quota)
    statuses: Counter[int] = Counter()

    async def hammer(client: httpx.AsyncClient) -> None:
        for _ in range(each):
            statuses[(await client.get("/v1/me")).status_code] += 1
        await client.aclose()

    await asyncio.gather(*(hammer(client) for client in clients(processes, tenant.key)))
    assert statuses.total() == CLIENTS * each
    assert set(statuses) == {200, 429}
    assert quota * 0.99 <= statuses[200] <= quota * 1.01, statuses


async def test_a_burst_never_sends_more_than_the_quota(
    processes: list[Services], tenant: Tenant, database: Database
) -> None:
    quota = 150
    await make_domain(database, tenant, "acme.test")
    await limit(database, tenant, max_emails_per_month=quota)

    async def send(client: httpx.AsyncClient) -> int:
        status = (await client.post("/v1/emails", json=MESSAGE)).status_code
        await client.aclose()
        return status

    statuses = Counter(await asyncio.gather(*(send(client) for client in clients(processes, tenant.key))))
    assert statuses == {202: quota, 429: CLIENTS - quota}
    assert await database.worker.fetchval("select count(*) from email_messages") == quota


async def test_redis_killed_in_the_middle_is_no_outage(
    processes: list[Services], tenant: Tenant, database: Database, valkey: EmbeddedValkey
) -> None:
    """Each process then counts for itself: with the floor of what is known to be sent, and never with a 5xx."""
    await make_domain(database, tenant, "acme.test")
    await limit(database, tenant, max_emails_per_month=100_000, api_requests_per_minute=60_000, api_burst=100_000)
    statuses: Counter[int] = Counter()
    killed, done = asyncio.Event(), asyncio.Event()

    async def hammer(client: httpx.AsyncClient) -> None:
        while not done.is_set():
            statuses[(await client.post("/v1/emails", json=MESSAGE)).status_code] += 1
            if statuses.total() > 2 * CLIENTS and not killed.is_set():
                killed.set()
                valkey.kill()
                seen["before"] = statuses.total()
            if killed.is_set() and statuses.total() > seen["before"] + 3 * CLIENTS:
                done.set()
        await client.aclose()

    seen: dict[str, int] = {}
    await asyncio.gather(*(hammer(client) for client in clients(processes, tenant.key)))
    assert set(statuses) == {202}
    assert await database.worker.fetchval("select count(*) from email_messages") == statuses[202]


async def test_without_redis_each_process_still_limits(
    processes: list[Services], tenant: Tenant, database: Database, valkey: EmbeddedValkey
) -> None:
    valkey.kill()
    await limit(database, tenant, api_requests_per_day=10)
    statuses: Counter[int] = Counter()
    for client in clients(processes, tenant.key)[:40]:
        statuses[(await client.get("/v1/me")).status_code] += 1
    assert statuses == {200: 20, 429: 20}
