"""Tricks to make the server call its own network, or to hurt it by what it is answered.

Each goes the whole way: an endpoint with that URL is refused when it is made; were it in the database nevertheless, the
engine would not call it. A trap listens where the trick leads to, and must see no connection.
`docs/webhooks-security.md` lists them by the names below.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penguinmails_core.config import WebhookSettings
from penguinmails_core.errors import Problem
from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.http import InvalidRequest, OutgoingHttp
from penguinmails_webhooks.endpoints import webhook_endpoints
from tests.core.kit.dns_world import dns_server
from tests.core.kit.http_world import RawHandler, RawServer, ScriptedResolver, read_request
from tests.webhooks.engine.conftest import world
from tests.webhooks.engine.world import BOX, World

__all__ = ["world"]


PAGE = Path(__file__).parents[2] / "docs" / "webhooks-security.md"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Trick:
    """`url` with `{port}` of the trap. `naive`: the host as a client that checks nothing would connect to it, which
    reaches the trap and so shows that the trick is one."""

    name: str
    url: str
    reason: str = "forbidden_address"
    naive: str | None = None


SPELLED = [
    Trick("loopback address", "https://127.0.0.1:{port}/", naive="127.0.0.1"),
    Trick("decimal address", "https://2130706433:{port}/", naive="2130706433"),
    Trick("octal address", "https://0177.0.0.1:{port}/", naive="0177.0.0.1"),
    Trick("hexadecimal address", "https://0x7f.0x0.0x0.0x1:{port}/", naive="0x7f.0x0.0x0.0x1"),
    Trick("short address", "https://127.1:{port}/", naive="127.1"),
    Trick("unspecified address", "https://0.0.0.0:{port}/", naive="0.0.0.0"),
    Trick("IPv6 loopback", "https://[::1]:{port}/", naive="::1"),
    Trick("IPv4-mapped IPv6 address", "https://[::ffff:127.0.0.1]:{port}/", naive="::ffff:127.0.0.1"),
    Trick("NAT64 address", "https://[64:ff9b::7f00:1]:{port}/"),
    Trick("6to4 address", "https://[2002:7f00:1::]:{port}/"),
    Trick("Teredo address", "https://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/"),
    Trick("zone id", "https://[::1%25lo]:{port}/", "invalid_url", naive="::1"),
    Trick("private network", "https://10.0.0.1:{port}/"),
    Trick("carrier network", "https://100.64.0.1:{port}/"),
    Trick("cloud metadata address", "https://169.254.169.254/latest/meta-data/"),
    Trick("cloud metadata address over IPv6", "https://[fd00:ec2::254]/latest/meta-data/"),
    Trick("cloud metadata name", "https://metadata.google.internal/computeMetadata/v1/"),
    Trick("localhost", "https://localhost:{port}/", naive="localhost"),
    Trick("localhost with a final dot", "https://localhost.:{port}/", naive="localhost"),
    Trick("name below localhost", "https://a.localhost:{port}/"),
    Trick("single-label name", "https://redis:{port}/"),
    Trick("IDN dots", "https://127。0。0。1:{port}/", naive="127.0.0.1"),
    Trick("digits of another script", "https://①②⑦.⓪.⓪.①:{port}/", naive="127.0.0.1"),
    Trick("user name that looks like a host", "https://hooks.example.com@127.0.0.1:{port}/", "invalid_url",
          naive="127.0.0.1"),
    Trick("embedded credentials", "https://user:secret@hooks.example.com:{port}/", "invalid_url"),
    Trick("backslash", "https://hooks.example.com\\@127.0.0.1:{port}/", "invalid_url", naive="127.0.0.1"),
    Trick("fragment before the host", "https://127.0.0.1:{port}#@hooks.example.com/", naive="127.0.0.1"),
    Trick("percent-encoded host", "https://127%2e0.0.1:{port}/", "invalid_url"),
    Trick("gopher scheme", "gopher://127.0.0.1:{port}/_SET%20a%20b", "invalid_url", naive="127.0.0.1"),
    Trick("file scheme", "file:///etc/passwd", "invalid_url"),
    Trick("dict scheme", "dict://127.0.0.1:{port}/info", "invalid_url", naive="127.0.0.1"),
    Trick("plain HTTP", "http://127.0.0.1:{port}/", "invalid_url", naive="127.0.0.1"),
    Trick("mail port", "https://hooks.example.com:25/", "invalid_url"),
    Trick("Redis port", "https://hooks.example.com:6379/", "invalid_url"),
    Trick("CRLF in the host", "https://127.0.0.1\r\nX-Injected: 1\r\n:{port}/", "invalid_url"),
    Trick("CRLF in the path", "https://hooks.example.com:{port}/ HTTP/1.1\r\nX-Injected: 1\r\n\r\n", "invalid_url"),
]  # fmt: skip


@dataclass(frozen=True)
class Name:
    """A name that passes as a URL, since only DNS tells where it leads; it leads to the trap."""

    name: str
    host: str
    reason: str = "forbidden_address"
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)


NAMES = [
    Name("name of a loopback address", "a.test", records={("a.test.", "A"): ["127.0.0.1"]}),
    Name("name of the unspecified address", "a.test", records={("a.test.", "A"): ["0.0.0.0"]}),
    Name("name of the metadata address", "a.test", records={("a.test.", "A"): ["169.254.169.254"]}),
    Name("name of a mapped address", "a.test", records={("a.test.", "AAAA"): ["::ffff:127.0.0.1"]}),
    Name("name of a NAT64 address", "a.test", records={("a.test.", "AAAA"): ["64:ff9b::7f00:1"]}),
    Name("one private address among public ones", "a.test",
         records={("a.test.", "A"): ["8.8.8.8", "127.0.0.1"], ("a.test.", "AAAA"): ["2606:4700::1111"]}),
    Name("alias of a private name", "a.test",
         records={("a.test.", "CNAME"): ["redis.inside.test."], ("redis.inside.test.", "A"): ["127.0.0.1"]}),
]  # fmt: skip


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


@asynccontextmanager
async def traps() -> AsyncIterator[RawServer]:
    """One on 127.0.0.1 and one on ::1, at the same port; they count together."""
    async with RawServer(accept) as trap:
        server = await asyncio.start_server(trap.serve, "::1", trap.port)
        async with server:
            yield trap


async def attempt(world: World, url: str, http: OutgoingHttp) -> str:
    """What the engine notes when an endpoint has this URL, however it came to it."""
    endpoint, _ = await world.endpoint("https://hooks.example.com/")
    await world.database.worker.execute("update webhook_endpoints set url = $2 where id = $1", endpoint.id, url)
    await world.happen()
    await world.engine(allow_private=False, http=http).run_once()
    [noted] = await world.attempts()
    [delivery] = await world.deliveries()
    assert delivery["status"] in ("pending", "exhausted")
    error: str = noted["error"]
    return error


async def create(world: World, url: str) -> list[str]:
    """The codes by which a new endpoint with this URL is refused."""
    service = webhook_endpoints(BOX, WebhookSettings(allow_private=False))
    principal = world.tenant.principal()
    with pytest.raises(Problem) as caught:
        async with world.database.tenant(principal.organization_id) as session:
            await service.create(session, principal, url=url, events=("*",))
    assert await world.database.worker.fetchval("select count(*) from webhook_endpoints") == 0
    return [error.code for error in caught.value.errors if error.pointer == "/url"]


@pytest.mark.parametrize("trick", SPELLED, ids=lambda trick: trick.name)
async def test_a_url_that_leads_inside(trick: Trick, world: World) -> None:
    async with traps() as trap, OutgoingHttp(allow_private=False, resolver=StaticResolver({})) as http:
        url = trick.url.format(port=trap.port)
        assert await create(world, url) == [trick.reason]
        assert (await attempt(world, url, http)).startswith(f"{trick.reason}: ")
        assert trap.connections == 0
        if trick.naive is not None:
            await asyncio.to_thread(lambda: socket.create_connection((trick.naive, trap.port), 20).close())
            async with asyncio.timeout(20):
                while not trap.connections:
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.name)
async def test_a_name_that_leads_inside(name: Name, world: World) -> None:
    async with (
        traps() as trap,
        dns_server(name.records) as resolver,
        OutgoingHttp(allow_private=False, resolver=resolver) as http,
    ):
        error = await attempt(world, f"https://{name.host}:{trap.port}/", http)
        assert error.startswith(f"{name.reason}: ")
        assert "127.0.0.1" not in error
        assert trap.connections == 0


async def deliver(world: World, port: int, **options: Any) -> Any:
    """One attempt at a server on loopback, which is allowed here: the danger is in what it answers."""
    await world.endpoint(f"http://127.0.0.1:{port}/")
    await world.happen()
    await world.engine(**options).run_once()
    [noted] = await world.attempts()
    return noted


async def test_rebinding(world: World) -> None:
    """The name is allowed at first and leads elsewhere later: each new answer is judged, also for a kept connection."""
    receiver_seen = 0

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal receiver_seen
        while True:
            await read_request(reader)
            receiver_seen += 1
            writer.write(OK)

    resolver = ScriptedResolver(["127.0.0.1"], ["0.0.0.0"])  # the second reaches the same server, and is never allowed
    async with RawServer(receiver) as server, OutgoingHttp(allow_private=True, resolver=resolver) as http:
        await world.endpoint(f"http://rebinding.test:{server.port}/")
        engine = world.engine(http=http)
        errors: list[str] = []
        async with asyncio.timeout(30):
            while not errors:  # DNS is asked again after a second at the earliest
                await world.happen()
                await engine.run_once()
                errors = [noted["error"] for noted in await world.attempts() if noted["error"]]
                await asyncio.sleep(0.05)
        assert [error.partition(":")[0] for error in errors] == ["forbidden_address"]
        assert receiver_seen >= 1
        assert receiver_seen == len(await world.attempts()) - 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect(status: int, world: World) -> None:
    async with traps() as trap:

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            location = f"Location: http://127.0.0.1:{trap.port}/\r\nContent-Length: 0\r\n\r\n"
            writer.write(f"HTTP/1.1 {status} Moved\r\n{location}".encode())
            await reader.read()

        async with RawServer(redirect) as server:
            noted = await deliver(world, server.port)
        assert (noted["status_code"], trap.connections) == (status, 0)
        assert noted["error"].startswith("status: ")


def answer(data: bytes, *, then: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None) -> RawHandler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(data)
            while then is not None:
                await then(writer)
                await writer.drain()

    return handle


async def test_slow_body(world: World) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"a")
        await asyncio.sleep(0.05)

    async with RawServer(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", then=drip)) as server:
        noted = await deliver(world, server.port, timeout=0.5)
        assert noted["error"].startswith("timeout: ")
        assert "reading the answer" in noted["error"]
        assert noted["status_code"] is None
        await asyncio.wait_for(server.hung_up.wait(), 20)


async def test_slow_headers(world: World) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"a")
        await asyncio.sleep(0.05)

    async with RawServer(answer(b"HTTP/1.1 200 OK\r\nX-Header: ", then=drip)) as server:
        assert (await deliver(world, server.port, timeout=0.5))["error"].startswith("timeout: ")


async def test_endless_headers(world: World) -> None:
    async def more(writer: asyncio.StreamWriter) -> None:
        writer.write(b"X-Header: " + b"a" * 1000 + b"\r\n")

    async with RawServer(answer(b"HTTP/1.1 200 OK\r\n", then=more)) as server:
        assert (await deliver(world, server.port))["error"].startswith("protocol: ")
        await asyncio.wait_for(server.hung_up.wait(), 20)


async def test_endless_body(world: World) -> None:
    async def more(writer: asyncio.StreamWriter) -> None:
        writer.write(b"a" * 10_000)

    async with RawServer(answer(b"HTTP/1.1 200 OK\r\n\r\n", then=more)) as server:
        noted = await deliver(world, server.port)
        assert (noted["status_code"], noted["error"]) == (200, None)
        assert len(noted["response_body"]) <= 65536
        await asyncio.wait_for(server.hung_up.wait(), 20)


async def test_compressed_bomb(world: World) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(head + bomb)
        await reader.read()

    async with RawServer(serve) as server:
        noted = await deliver(world, server.port)
    assert noted["status_code"] == 200
    assert len(noted["response_body"]) <= 65536  # as it came: nothing was unpacked
    assert b"accept-encoding: identity" in asked[0].lower()


async def test_interim_answers_without_end(world: World) -> None:
    async def more(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async with RawServer(answer(b"", then=more)) as server:
        assert (await deliver(world, server.port))["error"].startswith("protocol: ")


async def test_response_splitting(world: World) -> None:
    """A second answer behind the first is nobody's: the next event is not taken for delivered by it."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        while True:
            await read_request(reader)
            served += 1
            # The first event is accepted, and an answer for the second prepared; the truth is that it is refused.
            writer.write(OK + OK if served == 1 else b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    async with RawServer(serve) as server:
        await world.endpoint(f"http://127.0.0.1:{server.port}/")
        engine = world.engine()
        for _ in range(2):
            await world.happen()
            await engine.run_once()
        assert [noted["status_code"] for noted in await world.attempts()] == [200, 500]
        assert served == server.connections == 2


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 2\r\nContent-Length: 4\r\n",
     b"Transfer-Encoding: gzip, chunked\r\n", b"X: a\nContent-Length: 2\r\n"],
)  # fmt: skip
async def test_ambiguous_framing(head: bytes, world: World) -> None:
    async with RawServer(answer(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nok")) as server:
        noted = await deliver(world, server.port)
        assert noted["error"].startswith("protocol: ")
        assert noted["status_code"] is None


async def test_percent_encoded_crlf_stays_encoded(world: World) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(OK)
        await reader.read()

    async with RawServer(serve) as server:
        path = "a%0d%0aX-Injected:%201?b=%0D%0Ac"
        await world.endpoint(f"http://127.0.0.1:{server.port}/{path}")
        await world.happen()
        await world.engine().run_once()
    head = asked[0].partition(b"\r\n\r\n")[0]
    assert head.startswith(f"POST /{path} HTTP/1.1\r\n".encode())
    assert b"\r\nx-injected" not in head.lower()


@pytest.mark.parametrize("header", [{"X": "a\r\nX-Injected: 1"}, {"X\r\nX-Injected": "1"}, {"X": "a\nb"}, {"X": "a\0b"},
                                    {"Host": "metadata"}, {"Content-Length": "0"},
                                    {"Transfer-Encoding": "chunked"}])  # fmt: skip
async def test_crlf_in_a_header(header: dict[str, str]) -> None:
    async with traps() as trap, OutgoingHttp(allow_private=True) as http:
        with pytest.raises(InvalidRequest):
            await http.post(f"http://127.0.0.1:{trap.port}/", body=b"x", headers=header)
        assert trap.connections == 0


def test_the_page_lists_every_trick() -> None:
    """And no other: what the page promises is tried."""
    own = {"a url that leads inside", "a name that leads inside", "the page lists every trick"}
    tests = {name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_")} - own
    names = {trick.name.lower() for trick in SPELLED} | {name.name.lower() for name in NAMES} | tests
    rows = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert {row.lower() for row in rows} - {"trick"} == names
