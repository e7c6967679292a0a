"""The gateway behind a real HTTP server: what only a socket shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.gateway import MAX_BODY_BYTES
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.factories import Tenant, make_email


@pytest.fixture
async def port(services: Services) -> AsyncIterator[int]:
    server = ApiServer(create_gateway(services), "127.0.0.1", 0)
    await server.start()
    try:
        yield int(server.url.rpartition(":")[2])
    finally:
        await server.stop()


class Connection:
    """One keep-alive connection that writes what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def ask(self, text: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        self.writer.write(text.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        return await self.answer()


@pytest.fixture
async def connection(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_many_requests_on_one_connection(connection: Connection, tenant: Tenant) -> None:
    auth = f"Authorization: Bearer {tenant.key}"
    left = []
    for path in ("/v1/me", "/v1/nothing", "/v1/emails"):
        status, headers, body = await connection.ask(f"GET {path} HTTP/1.1\nHost: api.test\n{auth}")
        assert status in (200, 404)
        assert json.loads(body)
        assert headers["request-id"]
        assert "server" not in headers
        left.append(int(headers["ratelimit-remaining"]))
    # The bucket refills as it is used, so at most one is missing at each step.
    assert all(abs(one - other) <= 1 for one, other in pairwise(left))


async def test_a_request_without_a_host(connection: Connection) -> None:
    status, headers, body = await connection.ask("GET /v1/me HTTP/1.1\nAccept: */*")
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["code"] == "bad_request"


async def test_a_large_body_is_answered_before_it_is_sent(
    connection: Connection, database: Database, tenant: Tenant
) -> None:
    path = "/v1/emails/" + ids.encode("msg", await make_email(database, tenant))
    head = f"PATCH {path} HTTP/1.1\nHost: api.test\nAuthorization: Bearer {tenant.key}\nContent-Type: application/json"
    status, headers, _ = await connection.ask(f"{head}\nContent-Length: {MAX_BODY_BYTES + 1}\nExpect: 100-continue")
    assert (status, headers["connection"]) == (413, "close")


async def test_a_chunked_body_is_cut_off_at_the_limit(
    connection: Connection, database: Database, tenant: Tenant
) -> None:
    path = "/v1/emails/" + ids.encode("msg", await make_email(database, tenant))
    head = (
        f"PATCH {path} HTTP/1.1\nHost: api.test\nAuthorization: Bearer {tenant.key}\n"
        "Content-Type: application/json\nTransfer-Encoding: chunked\n\n"
    )
    connection.writer.write(head.replace("\n", "\r\n").encode())
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    for _ in range(MAX_BODY_BYTES // 0x4000 + 1):
        connection.writer.write(chunk)
    status, _, body = await connection.answer()
    assert (status, json.loads(body)["limit"]) == (413, MAX_BODY_BYTES)


async def test_a_client_that_leaves_in_the_middle_disturbs_nobody(
    port: int, connection: Connection, database: Database, tenant: Tenant
) -> None:
    path = "/v1/emails/" + ids.encode("msg", await make_email(database, tenant))
    auth = f"Host: api.test\nAuthorization: Bearer {tenant.key}\n"
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"PATCH {path} HTTP/1.1\n{auth}Content-Type: application/json\nContent-Length: 100\n\n"
    writer.write(head.replace("\n", "\r\n").encode() + b'{"scheduled_at"')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    status, _, body = await connection.ask(f"GET {path} HTTP/1.1\n{auth}".rstrip())
    assert (status, json.loads(body)["status"]) == (200, "queued")


async def test_a_forged_forwarded_for_does_not_open_an_allowlist(
    connection: Connection, database: Database, tenant: Tenant
) -> None:
    _, plain = await create_key(database, tenant.id, mode="live", name="office", allowed_ips=["192.0.2.7"])
    status, _, body = await connection.ask(
        f"GET /v1/me HTTP/1.1\nHost: api.test\nAuthorization: Bearer {plain}\nX-Forwarded-For: 192.0.2.7"
    )
    assert (status, json.loads(body)["code"]) == (403, "constraint_violated")


async def test_a_complete_answer_is_written_once(port: int, tenant: Tenant) -> None:
    """The gateway's own answers take the short way; they must be the same HTTP as the long way's."""
    head = f"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.key}\r\n"
    for closing in ("", "Connection: close\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write((head + closing + "\r\n").encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
            assert b'"code":"not_found"' in body
            assert (b"connection: close" in answer.lower()) is bool(closing)
            if closing:
                assert await reader.read() == b"", "the server closes as it was asked to"
            else:
                writer.write((head + "\r\n").encode())
                assert (await reader.readline()).startswith(b"HTTP/1.1 404"), "the connection is kept"
        finally:
            writer.close()
            await writer.wait_closed()
