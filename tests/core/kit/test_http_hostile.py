"""The outgoing client against servers that are slow, endless or broken."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from penguinmails_core.kit.http import (
    BrokenResponse,
    ConnectFailed,
    OutgoingHttp,
    TimedOut,
)
from tests.core.kit.http_world import (
    WORLD,
    HangingResolver,
    RawHandler,
    RawServer,
    hang,
    http_server,
    read_request,
)


@pytest.fixture
async def client() -> AsyncIterator[OutgoingHttp]:
    async with OutgoingHttp(allow_private=True, timeout=20, max_response=1000, resolver=WORLD) as client:
        yield client


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000, 1_000_000])
async def test_a_long_answer_is_cut(client: OutgoingHttp, size: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"a" * size)

    async with http_server(answer) as port:
        for _ in range(2):  # the second time on whatever connection is left
            result = await client.post(f"http://receiver.test:{port}/", body=b"x")
            assert result.body == b"a" * min(size, 1000)
            assert result.truncated == (size > 1000)


async def test_an_endless_answer_is_cut_and_hung_up_on(client: OutgoingHttp) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")
            await writer.drain()

    async with RawServer(endless) as server:
        result = await client.post(f"http://receiver.test:{server.port}/", body=b"x")
        assert (result.status, len(result.body), result.truncated) == (200, 1000, True)
        await asyncio.wait_for(server.hung_up.wait(), 20)


async def test_endless_headers_are_refused(client: OutgoingHttp) -> None:
    async def headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Header: " + b"a" * 1000 + b"\r\n")
            await writer.drain()

    async def one_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
        while True:
            writer.write(b"a" * 1000)
            await writer.drain()

    for handler in (headers, one_header):
        async with RawServer(handler) as server:
            with pytest.raises(BrokenResponse):
                await client.post(f"http://receiver.test:{server.port}/", body=b"x")
            await asyncio.wait_for(server.hung_up.wait(), 20)


async def test_a_compressed_bomb_stays_small(client: OutgoingHttp) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with http_server(answer) as port:
        result = await client.post(f"http://receiver.test:{port}/", body=b"x")
    assert result.body == bomb[:1000]


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.05)


async def continue_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()


async def test_interim_answers_without_end_are_refused(client: OutgoingHttp) -> None:
    async with RawServer(continue_for_ever) as server:
        with pytest.raises(BrokenResponse, match="interim"):
            await client.post(f"http://receiver.test:{server.port}/", body=b"x")
        await asyncio.wait_for(server.hung_up.wait(), 20)


async def test_slow_receivers_run_out_of_time() -> None:
    async with OutgoingHttp(allow_private=True, timeout=1.5, resolver=WORLD) as client:

        async def run_out(handler: RawHandler, scheme: str, stage: str) -> None:
            async with RawServer(handler) as server:
                with pytest.raises(TimedOut, match=stage):
                    await client.post(f"{scheme}://receiver.test:{server.port}/", body=b"x", repeatable=True)
                assert server.connections == 1

        await asyncio.gather(
            run_out(hang, "http", "waiting for the answer"),
            run_out(drip, "http", "reading the answer"),
            run_out(drip_headers, "http", "waiting for the answer"),
            run_out(hang, "https", "agreeing on TLS"),
        )


async def test_a_failure_tells_how_far_it_came(client: OutgoingHttp) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 banana\r\n\r\n")
        await reader.read()

    async with RawServer(broken) as server:
        with pytest.raises(BrokenResponse) as answered:
            await client.post(f"http://receiver.test:{server.port}/", body=b"x")
    with pytest.raises(ConnectFailed) as refused:
        await client.post(f"http://receiver.test:{server.port}/", body=b"x")
    for error, connected in ((answered.value, True), (refused.value, False)):
        assert error.timings is not None
        assert error.timings.connect_ms is not None
        assert (error.timings.first_byte_ms is not None) == connected
        assert error.remote_address == ("127.0.0.1" if connected else None)
        assert error.timings.total_ms >= error.timings.connect_ms


async def test_dns_counts_towards_the_time() -> None:
    async with OutgoingHttp(allow_private=True, timeout=0.2, resolver=HangingResolver()) as client:
        with pytest.raises(TimedOut, match="resolving the host"):
            await client.post("http://receiver.test:8000/", body=b"x")


async def test_nobody_listens(client: OutgoingHttp) -> None:
    async with RawServer(hang) as server:
        pass
    for host in ("receiver.test", "localhost"):  # one address, and two
        with pytest.raises(ConnectFailed) as caught:
            await client.post(f"http://{host}:{server.port}/", body=b"x")
        assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
async def test_broken_answers(client: OutgoingHttp, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with RawServer(speak) as server:
        with pytest.raises(BrokenResponse) as caught:
            await client.post(f"http://receiver.test:{server.port}/", body=b"x", repeatable=True)
        assert len(caught.value.detail) < 100
        assert server.connections == 1


async def test_a_stale_connection_is_replaced_only_for_repeatable_requests() -> None:
    async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await read_request(reader)  # takes a second request and hangs up, as a server does that was about to close

    for repeatable in (True, False):
        async with RawServer(one_answer) as server, OutgoingHttp(allow_private=True, timeout=20) as client:
            url = f"http://127.0.0.1:{server.port}/"
            assert (await client.post(url, body=b"x", repeatable=repeatable)).body == b"ok"
            if repeatable:
                assert (await client.post(url, body=b"x", repeatable=True)).body == b"ok"
                assert server.connections == 2
            else:
                with pytest.raises(BrokenResponse):
                    await client.post(url, body=b"x")
                assert server.connections == 1
