"""`GET /v1/events/stream` over a real socket: nothing skipped, nothing twice, no listener costs more than a place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from redis.asyncio import Redis

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_api.v1.events import stream
from penguinmails_core.api_keys.service import create_key, revoke_key
from penguinmails_core.config import ApiSettings, DatabaseSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.events import streams
from penguinmails_core.kit import ids
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Connection, Database
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import new_uuid
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace

_INSERT = """
insert into events (organization_id, id, workspace_id, mode, type, resource_id, sequence, payload)
values ($1, $2, $3, $4, $5, $6, $7, $8)"""


@pytest.fixture
def settings() -> Settings:
    return Settings(
        database=DatabaseSettings(pool_size=3, ingest_connections=1, worker_connections=2),
        api=ApiSettings(stream_lifetime=timedelta(minutes=5), streams_per_key=3),
    )


@asynccontextmanager
async def serving(services: Services) -> AsyncIterator[ApiServer]:
    server = ApiServer(create_gateway(services), "127.0.0.1", 0)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def server(services: Services) -> AsyncIterator[ApiServer]:
    async with serving(services) as server:
        yield server


async def write(
    connection: Connection,
    tenant: Tenant,
    *,
    mode: str = "live",
    kind: str = "email.queued",
    workspace: UUID | None = None,
    resource: UUID | None = None,
    sequence: int = 1,
    size: int = 0,
) -> str:
    """An event, written by another process; returns its id."""
    event_id = new_uuid()
    place = workspace or tenant.workspace_id
    values = (place, mode, kind, resource or new_uuid(), sequence, {"text": "x" * size})
    await connection.execute(_INSERT, tenant.id, event_id, *values)
    return ids.encode("evt", event_id)


@dataclass
class Message:
    id: str | None = None
    event: str | None = None
    data: Any = None


@dataclass
class Reader:
    """One open stream."""

    response: httpx.Response
    lines: AsyncIterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.response.aiter_lines()

    async def message(self) -> Message:
        """The next message; raises `StopAsyncIteration` at the end of the stream."""
        found = Message()
        while True:
            line = await asyncio.wait_for(anext(self.lines), 20)
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                if name == "data":
                    found.data = json.loads(value)
                elif name in ("id", "event"):
                    setattr(found, name, value)
            elif found.data is not None:
                return found

    async def take(self, count: int) -> list[str]:
        """Ids of the next events."""
        messages = [await self.message() for _ in range(count)]
        assert all(message.event is None and message.data["id"] == message.id for message in messages), messages
        return [message.data["id"] for message in messages]


@asynccontextmanager
async def listening(server: ApiServer, key: str, query: str = "", last: str | None = None) -> AsyncIterator[Reader]:
    headers = {"Authorization": f"Bearer {key}", **({"Last-Event-ID": last} if last else {})}
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=None) as http,
        http.stream("GET", "/v1/events/stream" + query, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        reader = Reader(response)
        ready = await reader.message()
        assert (ready.event, ready.id) == ("stream.ready", ready.data["after"])
        yield reader


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_events_come_as_they_happen(
    server: ApiServer, tenant: Tenant, stranger: Tenant, client: ApiClient
) -> None:
    database = server._app.services.database
    before = await write(database.worker, tenant)
    async with listening(server, tenant.key) as reader:
        await write(database.worker, stranger)
        await write(database.worker, tenant, mode="test")
        written = [await write(database.worker, tenant) for _ in range(3)]
        server._app.services.doorbell.ring(EVENTS)
        message = await reader.message()
        assert message.id == written[0]
        assert message.data == await get(server, tenant.key, f"/v1/events/{written[0]}")
        assert await reader.take(2) == written[1:]
    async with listening(server, tenant.key, f"?after={before}") as reader:
        assert await reader.take(3) == written


async def test_a_reconnect_goes_on_where_it_broke_off(server: ApiServer, tenant: Tenant, services: Services) -> None:
    pool, written = services.database.worker, []
    async with listening(server, tenant.key) as reader:
        written += [await write(pool, tenant) for _ in range(3)]
        got = await reader.take(2)
    written += [await write(pool, tenant) for _ in range(250)]
    # `Last-Event-ID` goes before the address that was first asked for.
    async with listening(server, tenant.key, f"?after={written[0]}", last=got[-1]) as reader:
        got += await reader.take(251)
        written.append(await write(pool, tenant))
        services.doorbell.ring(EVENTS)
        got += await reader.take(1)
    assert got == written


async def test_a_stream_that_saw_nothing_can_be_taken_up_too(
    server: ApiServer, tenant: Tenant, services: Services
) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        headers = {"Authorization": f"Bearer {tenant.key}"}
        async with http.stream("GET", "/v1/events/stream", headers=headers) as response:
            cursor = (await Reader(response).message()).id or ""
    written = await write(services.database.worker, tenant)
    async with listening(server, tenant.key, last=cursor) as reader:
        assert await reader.take(1) == [written]


async def test_late_commits_are_neither_lost_nor_sent_twice(
    server: ApiServer, tenant: Tenant, services: Services
) -> None:
    """The first transaction to begin is the last to commit; the stream is broken off and taken up in between."""
    pool = services.database.worker
    async with pool.acquire() as late, listening(server, tenant.key) as reader:
        first = await write(pool, tenant)
        services.doorbell.ring(EVENTS)
        got = await reader.take(1)
        transaction = late.transaction()
        await transaction.start()
        slow = await write(late, tenant)
        quick = [await write(pool, tenant) for _ in range(3)]
        services.doorbell.ring(EVENTS)
        await reader.response.aclose()
        async with listening(server, tenant.key, last=got[-1]) as again:
            await transaction.commit()
            got += await again.take(4)
    assert sorted(got) == sorted([first, slow, *quick])


async def test_only_what_was_asked_for(server: ApiServer, tenant: Tenant, services: Services) -> None:
    pool = services.database.worker
    workspace = await make_workspace(services.database, tenant.id, "other")
    _, bound = await create_key(
        services.database, tenant.id, mode="live", name="b", scopes=["events:read"], workspace_id=workspace
    )
    resource = new_uuid()
    about = f"?resource_id={ids.encode('rcp', resource)}"
    async with (
        listening(server, tenant.key, "?types=domain.*&types=suppression.created") as by_type,
        listening(server, tenant.key, about) as by_resource,
        listening(server, tenant.test) as by_mode,
        listening(server, bound) as by_workspace,
    ):
        await write(pool, tenant)
        domain = await write(pool, tenant, kind="domain.created")
        suppression = await write(pool, tenant, kind="suppression.created")
        mine = await write(pool, tenant, resource=resource)
        tested = await write(pool, tenant, mode="test")
        elsewhere = await write(pool, tenant, workspace=workspace)
        services.doorbell.ring(EVENTS)
        assert await by_type.take(2) == [domain, suppression]
        assert await by_resource.take(1) == [mine]
        assert await by_mode.take(1) == [tested]
        assert await by_workspace.take(1) == [elsewhere]
        assert len(services.event_streams._channels) == 1, "one reader for all of them"
    await until(lambda: not services.event_streams.open)
    assert not services.event_streams._channels


async def test_catching_up_and_following_agree(server: ApiServer, tenant: Tenant, services: Services) -> None:
    """Read by a statement, from the buffer, or by pages: the same filter."""
    pool = services.database.worker
    first = await write(pool, tenant)
    kinds = ("email.sent", "email.queued", "webhook.test", "webhook_endpoint.disabled", "domain.created")
    for query, count in (("types=webhook.*", 1), ("types=*", 5), ("types=email.*&types=webhook.test", 3), ("", 5)):
        async with listening(server, tenant.key, f"?{query}") as following:
            written = [await write(pool, tenant, kind=kind) for kind in kinds]
            services.doorbell.ring(EVENTS)
            live = await following.take(count)
        async with listening(server, tenant.key, f"?{query}&after={first}".replace("?&", "?")) as catching_up:
            assert await catching_up.take(count) == live
        page = (await get(server, tenant.key, f"/v1/events?{query}&after={first}".replace("?&", "?")))["data"]
        assert [event["id"] for event in page] == live
        first = written[-1]


async def get(server: ApiServer, key: str, path: str) -> Any:
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {key}"}) as http:
        return (await http.get(path)).json()


async def test_a_stream_ends_with_its_key(server: ApiServer, tenant: Tenant, services: Services) -> None:
    key, text = await create_key(services.database, tenant.id, mode="live", name="short", scopes=["events:read"])
    async with listening(server, text) as reader:
        await revoke_key(services.database, services.doorbell, tenant.id, key.id)
        end = await reader.message()
        assert (end.event, end.data["code"], end.data["status"]) == ("stream.end", "unauthenticated", 401)
        with pytest.raises(StopAsyncIteration):
            await reader.message()


async def test_a_stream_ends_when_its_key_expires(
    server: ApiServer, tenant: Tenant, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.1)
    key, text = await create_key(services.database, tenant.id, mode="live", name="short", scopes=["events:read"])
    async with listening(server, text) as reader:
        await services.database.worker.execute("update api_keys set expires_at = now() where id = $1", key.id)
        services.authenticator.forget()  # as it does by itself every five seconds
        end = await reader.message()
        assert (end.event, end.data["code"]) == ("stream.end", "unauthenticated")


async def test_a_quiet_stream_is_kept_alive(server: ApiServer, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.05)
    async with listening(server, tenant.key) as reader:
        beats = [line async for line in _first(reader.lines, 6)]
    assert beats == [": keep-alive", ""] * 3


async def _first(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield await asyncio.wait_for(anext(lines), 20)


async def test_the_server_ends_streams_before_it_stops(services: Services, tenant: Tenant) -> None:
    async with serving(services) as server, listening(server, tenant.key) as reader:
        stopping = asyncio.create_task(server.stop())
        end = await reader.message()
        assert (end.event, end.data["code"]) == ("stream.end", "restart")
        with pytest.raises(StopAsyncIteration):
            await reader.message()
        await asyncio.wait_for(stopping, 20)


async def test_a_key_holds_so_many_streams_and_no_more(
    server: ApiServer, tenant: Tenant, services: Services, client: ApiClient
) -> None:
    async with listening(server, tenant.key), listening(server, tenant.key), listening(server, tenant.test):
        async with listening(server, tenant.key):
            document = problem(await client.get("/v1/events/stream"), 429, "too_many_streams")
            assert document["limit"] == 3
        await until(lambda: services.event_streams.held_by(tenant.live_key.id) == 2)
        async with listening(server, tenant.key):
            pass


async def test_a_slow_reader_costs_no_more_than_a_buffer_and_loses_nothing(
    server: ApiServer, tenant: Tenant, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_KEEP", 50)
    pool = services.database.worker
    first = await write(pool, tenant)
    port = int(server.url.rpartition(":")[2])
    reading, writing = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    request = f"GET /v1/events/stream?after={first} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {tenant.key}\r\n\r\n"
    writing.write(request.encode())
    head = await reading.readuntil(b"stream.ready")
    assert b"200 OK" in head
    async with listening(server, tenant.key) as quick:
        written = []
        for _ in range(20):
            written += [await write(pool, tenant, size=20_000) for _ in range(25)]
            services.doorbell.ring(EVENTS)
            assert await quick.take(25) == written[-25:]
        (channel,) = services.event_streams._channels.values()
        assert len(channel._entries) <= 50
    # It has read nothing so far: ten megabytes were not kept for it.
    held = sum(len(entry.body) for entry in channel._entries)
    assert held < 2 * 1024 * 1024
    got: list[str] = []
    while len(got) < len(written):
        line = await asyncio.wait_for(reading.readline(), 20)
        if line.startswith(b"id: evt_"):
            got.append(line[4:].strip().decode())
    assert got == written
    writing.close()


async def test_an_idle_stream_holds_no_connection(server: ApiServer, tenant: Tenant, services: Services) -> None:
    """More streams than connections, and requests still find one."""
    _, other = await create_key(services.database, tenant.id, mode="live", name="o", scopes=["events:read"])
    async with (
        listening(server, tenant.key),
        listening(server, tenant.key),
        listening(server, tenant.test),
        listening(server, other),
        ApiClient(create_gateway(services), tenant.key) as client,
    ):
        for _ in range(10):
            assert (await client.get("/v1/events")).status_code == 200
        await until(lambda: services.database.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]


async def test_without_valkey_it_looks_by_itself(
    database: Database, redis: Redis, stack: EmbeddedStack, settings: Settings, tenant: Tenant
) -> None:
    services = await open_services(stack.database_url, None, settings, box=SecretBox([b"k" * 32]))
    try:
        async with serving(services) as server, listening(server, tenant.key) as reader:
            written = [await write(database.worker, tenant) for _ in range(3)]  # nobody rings
            assert await reader.take(3) == written
    finally:
        await services.close()


async def test_a_bell_of_another_process_wakes_it(
    server: ApiServer, tenant: Tenant, services: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL", 600.0)
    async with listening(server, tenant.key) as reader:
        (channel,) = services.event_streams._channels.values()
        await until(lambda: channel._end is not None)
        written = await write(services.database.worker, tenant)
        await redis.publish("penguinmails:bell:events", b"")
        assert await reader.take(1) == [written]


async def test_what_a_stream_is_asked_for_is_checked(client: ApiClient) -> None:
    for query in ("types=email.lost", "after=AQID", "after=" + ids.encode("evt", new_uuid()), "limit=3"):
        problem(await client.get("/v1/events/stream?" + query), 422, "validation_failed")
    problem(await client.get("/v1/events/stream", headers={"Last-Event-ID": "x"}), 422, "validation_failed")


async def test_its_lifetime_is_not_the_time_of_a_request(
    database: Database, redis: Redis, stack: EmbeddedStack, tenant: Tenant
) -> None:
    settings = Settings(api=ApiSettings(stream_lifetime=timedelta(seconds=3)))
    services = await open_services(stack.database_url, stack.redis_url, settings, box=SecretBox([b"k" * 32]))
    try:
        async with serving(services) as server, listening(server, tenant.key) as reader:
            assert b"penguinmails_event_streams 1.0" in services.metrics.render()
            assert (await reader.message()).data["code"] == "lifetime"
        sums = [line for line in services.metrics.render().decode().splitlines() if "seconds_sum" in line]
        (seconds,) = [float(line.split()[-1]) for line in sums if "/v1/events/stream" in line]
        assert seconds < 3
    finally:
        await services.close()
