"""The outgoing client against real servers: what it sends and where it refuses to go."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from penguinmails_core.kit.http import (
    DnsFailed,
    ForbiddenAddress,
    InvalidRequest,
    InvalidUrl,
    OutgoingError,
    OutgoingHttp,
    TlsFailed,
)
from penguinmails_core.kit.http_connection import connect
from tests.core.kit.http_world import (
    WORLD,
    HangingResolver,
    RawServer,
    ScriptedResolver,
    certificate,
    echo,
    hang,
    http_server,
    read_request,
)


@pytest.fixture
async def client() -> AsyncIterator[OutgoingHttp]:
    async with OutgoingHttp(allow_private=True, timeout=20, max_response=1000, resolver=WORLD) as client:
        yield client


async def test_what_is_sent_and_what_comes_back(client: OutgoingHttp) -> None:
    async with http_server(echo) as port:
        result = await client.post(
            f"http://receiver.test:{port}/hook?a=%2F&b",
            body=b"\x00body",
            headers={"Content-Type": "application/json", "webhook-id": "evt_1"},
        )
        assert (result.status, result.body, result.truncated) == (201, b"\x00body", False)
        assert result.headers["x-seen-host"] == f"receiver.test:{port}"
        assert result.headers["X-Seen-Content-Type"] == "application/json"
        assert result.headers["x-seen-webhook-id"] == "evt_1"
        assert result.headers["x-seen-accept-encoding"] == "identity"
        assert result.headers["x-seen-user-agent"].startswith("PenguinMails/")
        assert result.headers["x-seen-url"] == "/hook?a=%2F&b"
        assert result.remote_address == "127.0.0.1"
        assert result.timings.dns_ms is not None
        assert result.timings.connect_ms is not None
        assert result.timings.tls_ms is None
        assert result.duration_ms >= 0

        again = await client.get(f"http://receiver.test:{port}/")
        assert "x-seen-cookie" not in again.headers  # nothing of one receiver's answer reaches the next request
        assert (again.timings.dns_ms, again.timings.connect_ms) == (None, None)  # the connection was kept
        assert again.remote_address == "127.0.0.1"


async def test_a_connection_is_kept_per_host(client: OutgoingHttp) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with RawServer(answer) as server:
        for _ in range(5):
            assert (await client.post(f"http://receiver.test:{server.port}/", body=b"x")).status == 204
        assert server.connections == 1
        await client.post(f"http://127.0.0.1:{server.port}/", body=b"x")
        assert server.connections == 2


@pytest.mark.parametrize("host", ["receiver.test", "both.test", "mapped.test", "nat64.test", "metadata.test",
                                  "unspecified.test", "zone.test", "garbage.test"])  # fmt: skip
async def test_production_never_connects_to_the_inside(host: str, tmp_path: Path) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with RawServer(accept) as server, OutgoingHttp(allow_private=False, resolver=WORLD) as client:
        with pytest.raises(ForbiddenAddress) as caught:
            await client.post(f"https://{host}:{server.port}/", body=b"x")
        assert "127.0.0.1" not in str(caught.value)
        for literal in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "localhost"):
            with pytest.raises(ForbiddenAddress):
                await client.post(f"https://{literal}:{server.port}/", body=b"x")
        with pytest.raises(InvalidUrl, match="https"):
            await client.post(f"http://{host}:{server.port}/", body=b"x")
        assert server.connections == 0


@pytest.mark.parametrize("host", ["metadata.test", "unspecified.test", "zone.test", "garbage.test"])
async def test_some_addresses_are_never_called_even_in_private(client: OutgoingHttp, host: str) -> None:
    async with http_server(echo) as port:
        with pytest.raises(ForbiddenAddress):
            await client.post(f"http://{host}:{port}/", body=b"x")


async def test_rebinding_has_no_second_look_up_to_poison() -> None:
    """0.0.0.0 is refused and would reach the same server: a client that checks one answer and connects with another
    would be caught here."""
    resolver = ScriptedResolver(["127.0.0.1"], ["0.0.0.0"])
    async with (
        http_server(echo) as port,
        OutgoingHttp(allow_private=True, resolver=resolver, timeout=20) as client,
    ):
        result = await client.post(f"http://rebind.test:{port}/", body=b"x")
        assert (result.status, result.remote_address) == (201, "127.0.0.1")
        assert resolver.asked == ["rebind.test"]
        # The kept connection still leads to the checked address; a new one is checked again.
        await client.post(f"http://rebind.test:{port}/", body=b"x")
        assert resolver.asked == ["rebind.test"]
    async with OutgoingHttp(allow_private=True, resolver=resolver, timeout=20) as client:
        with pytest.raises(ForbiddenAddress):
            await client.post(f"http://rebind.test:{port}/", body=b"x")


async def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    for answer in (["127.0.0.1", "0.0.0.0"], ["0.0.0.0", "127.0.0.1"], ["127.0.0.1", "::"]):
        async with (
            http_server(echo) as port,
            OutgoingHttp(allow_private=True, resolver=ScriptedResolver(answer)) as client,
        ):
            with pytest.raises(ForbiddenAddress):
                await client.post(f"http://mixed.test:{port}/", body=b"x")


async def test_the_address_is_checked_again_where_the_socket_is_made() -> None:
    async with RawServer(hang) as server:
        for address, allow_private in (("0.0.0.0", True), ("127.0.0.1", False), ("::ffff:127.0.0.1", False)):
            with pytest.raises(ForbiddenAddress):
                await connect([address], server.port, allow_private=allow_private)
            with pytest.raises(ForbiddenAddress):
                await connect([address, address], server.port, allow_private=allow_private)
        assert server.connections == 0


async def test_redirects_are_answers(client: OutgoingHttp) -> None:
    visits: list[str] = []

    async def inside(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.Response()

    async with http_server(inside) as inner:

        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=int(request.path[1:]), headers={"Location": f"http://127.0.0.1:{inner}/"})

        async with http_server(redirect) as port:
            for status in (301, 302, 303, 307, 308):
                result = await client.post(f"http://receiver.test:{port}/{status}", body=b"x")
                assert result.status == status
                assert (await client.get(f"http://receiver.test:{port}/{status}")).status == status
    assert visits == []


@pytest.mark.parametrize("host", ["empty.test", "broken.test", "gone.test", "unknown.test"])
async def test_names_without_an_address(client: OutgoingHttp, host: str) -> None:
    with pytest.raises(DnsFailed, match=host):
        await client.post(f"http://{host}:8000/", body=b"x")


async def test_a_certificate_must_be_trusted_and_for_the_host(tmp_path: Path) -> None:
    server, trust = certificate(tmp_path, ["receiver.test"])
    names: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    async with http_server(echo, server) as port:
        async with OutgoingHttp(allow_private=True, resolver=WORLD, timeout=20) as client:
            with pytest.raises(TlsFailed, match="not trusted"):
                await client.post(f"https://receiver.test:{port}/", body=b"x")
        trusting = partial(ssl.create_default_context, cafile=str(trust))
        async with OutgoingHttp(allow_private=True, resolver=WORLD, timeout=20, trust=trusting) as client:
            assert (await client.post(f"https://receiver.test:{port}/", body=b"x")).status == 201
            for host in ("127.0.0.1", "localhost"):
                with pytest.raises(TlsFailed, match="not trusted"):
                    await client.post(f"https://{host}:{port}/", body=b"x")
    assert names[:2] == ["receiver.test", "receiver.test"]


async def test_tls_to_a_plain_server(client: OutgoingHttp) -> None:
    async with http_server(echo) as port:
        with pytest.raises(TlsFailed):
            await client.post(f"https://receiver.test:{port}/", body=b"x")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine receiver.test login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with RawServer(hang) as proxy, http_server(echo) as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with OutgoingHttp(allow_private=True, resolver=WORLD, timeout=20) as client:
            result = await client.post(f"http://receiver.test:{port}/", body=b"x")
        assert result.status == 201
        assert "x-seen-authorization" not in result.headers
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other.test"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "upgrade"},
        {"Accept-Encoding": "gzip"},
        {"x": "a\r\nHost: b"},
        {"x": "a\nb"},
        {"x": "a\0b"},
        {"x\r\ny": "a"},
        {"x y": "a"},
        {"x:": "a"},
        {"": "a"},
    ],
)
async def test_headers_that_may_not_be_given(client: OutgoingHttp, headers: dict[str, str]) -> None:
    async with http_server(echo) as port:
        with pytest.raises(InvalidRequest):
            await client.post(f"http://receiver.test:{port}/", body=b"x", headers=headers)


async def test_closing_ends_requests_and_a_closed_client_opens_again(client: OutgoingHttp) -> None:
    async with RawServer(hang) as server:
        task = asyncio.create_task(client.post(f"http://receiver.test:{server.port}/", body=b"x"))
        while not server.connections:
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(OutgoingError):
            await task
    async with http_server(echo) as port:
        assert (await client.post(f"http://receiver.test:{port}/", body=b"x")).status == 201


async def test_many_at_once(client: OutgoingHttp) -> None:
    async with http_server(echo) as port:
        results = await asyncio.gather(
            *(client.post(f"http://receiver.test:{port}/", body=str(number).encode()) for number in range(200))
        )
    assert [result.body for result in results] == [str(number).encode() for number in range(200)]


async def test_check_url_needs_no_network() -> None:
    async with OutgoingHttp(allow_private=False, resolver=HangingResolver()) as client:
        client.check_url("https://hooks.example.com/x")
        for url in ("http://hooks.example.com/x", "https://10.0.0.1/", "https://hooks.example.com:22/"):
            with pytest.raises(OutgoingError):
                client.check_url(url)
