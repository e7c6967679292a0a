"""Kept connections: which one is used, how many there are, and when one is not to be trusted any more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from penguinmails_core.kit.http import BrokenResponse, ConnectFailed, OutgoingError, OutgoingHttp, TimedOut
from penguinmails_core.kit.http_connection import connect
from tests.core.kit.http_world import RawServer, ScriptedResolver, hang, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Gate:
    """A receiver that answers while it is open; `peers` has the client's port of each request, in order."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.open = asyncio.Event()
        self.peers: list[int] = []
        self.waiting = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            self.peers.append(writer.get_extra_info("peername")[1])
            self.waiting += 1
            await self.open.wait()
            self.waiting -= 1
            writer.write(self.answer)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def receiver(gate: Gate, *, is_open: bool = True) -> AsyncIterator[RawServer]:
    if is_open:
        gate.open.set()
    async with RawServer(gate) as server:
        yield server


def url(server: RawServer, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.port}/"


async def test_the_last_used_connection_is_used_first() -> None:
    gate = Gate()
    async with OutgoingHttp(allow_private=True, timeout=20) as client, receiver(gate, is_open=False) as server:
        three = [asyncio.create_task(client.post(url(server), body=b"x")) for _ in range(3)]
        await until(lambda: gate.waiting == 3)
        gate.open.set()
        await asyncio.gather(*three)
        assert len(set(gate.peers)) == 3
        for _ in range(5):
            await client.post(url(server), body=b"x")
        assert len(set(gate.peers[3:])) == 1
        assert client.connections == 3


async def test_no_more_than_the_limit_for_one_host() -> None:
    gate = Gate()
    client = OutgoingHttp(allow_private=True, timeout=20, limit_per_host=2)
    async with client, receiver(gate, is_open=False) as server:
        tasks = [asyncio.create_task(client.post(url(server), body=b"x")) for _ in range(10)]
        await until(lambda: gate.waiting == 2)
        await asyncio.sleep(0)
        assert client.connections == 2
        tasks[9].cancel()  # one that waits for its turn
        tasks[0].cancel()  # one that is under way: its connection is closed, and another takes its place
        gate.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, *[False] * 8, True]
        assert [result.body for result in results if not isinstance(result, BaseException)] == [b"ok"] * 8
        assert server.connections == 3


async def test_no_more_than_the_limit_in_all_and_idle_ones_make_room() -> None:
    gates = [Gate() for _ in range(3)]
    async with (
        OutgoingHttp(allow_private=True, timeout=20, limit=2) as client,
        receiver(gates[0]) as one,
        receiver(gates[1]) as two,
        receiver(gates[2]) as three,
    ):
        for server in (one, two, three, one):
            assert (await client.post(url(server), body=b"x")).body == b"ok"
            assert client.connections <= 2
        assert [server.connections for server in (one, two, three)] == [2, 1, 1]  # the one idle for longest went
        jobs = [client.post(url(server), body=b"x") for _ in range(20) for server in (one, two, three)]
        assert [result.body for result in await asyncio.gather(*jobs)] == [b"ok"] * 60
        assert client.connections <= 2


async def test_waiting_for_a_connection_counts_towards_the_time() -> None:
    gate = Gate()
    client = OutgoingHttp(allow_private=True, timeout=0.5, limit_per_host=1)
    async with client, receiver(gate, is_open=False) as server:
        first = asyncio.create_task(client.post(url(server), body=b"x"))
        await until(lambda: gate.waiting == 1)
        with pytest.raises(TimedOut, match="waiting for the answer"):
            await first
        holder = asyncio.create_task(client.post(url(server), body=b"x"))
        await until(lambda: len(gate.peers) == 2)
        second = asyncio.create_task(client.post(url(server), body=b"x"))
        results = await asyncio.gather(holder, second, return_exceptions=True)
        assert [type(result) for result in results] == [TimedOut, TimedOut]
        gate.open.set()
        assert (await client.post(url(server), body=b"x")).body == b"ok"


async def test_a_request_given_up_closes_its_connection() -> None:
    """Its answer, should it still come, must not be taken for the next one's."""
    gate = Gate()
    async with OutgoingHttp(allow_private=True, timeout=20) as client, receiver(gate, is_open=False) as server:
        task = asyncio.create_task(client.post(url(server), body=b"x"))
        await until(lambda: gate.waiting == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: client.connections == 0)
        gate.open.set()
        assert not (await client.post(url(server), body=b"x")).reused


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x", b"\r\n"])
async def test_an_answer_that_nobody_asked_for_is_never_used(extra: bytes) -> None:
    """Response splitting and smuggling end here: at once with the answer, and while the connection is idle."""
    gate = Gate(OK + extra)
    async with OutgoingHttp(allow_private=True, timeout=20) as client, receiver(gate) as server:
        for _ in range(3):
            result = await client.post(url(server), body=b"x", repeatable=True)
            assert (result.body, result.reused) == (b"ok", False)

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await send.wait()
        writer.write(extra)
        await reader.read()

    send = asyncio.Event()
    async with OutgoingHttp(allow_private=True, timeout=20) as client, RawServer(late) as server:
        assert (await client.post(url(server), body=b"x")).body == b"ok"
        assert client.connections == 1
        send.set()
        await until(lambda: client.connections == 0)
        assert (await client.post(url(server), body=b"x")).body == b"ok"
        assert server.connections == 2


async def test_a_connection_closed_while_idle_is_noticed() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()

    async with OutgoingHttp(allow_private=True, timeout=20) as client, RawServer(once) as server:
        for _ in range(3):
            assert (await client.post(url(server), body=b"x")).body == b"ok"  # not repeatable: no second try helps
            await until(lambda: client.connections == 0)
        assert server.connections == 3


async def test_the_second_try_is_the_last() -> None:
    """A receiver that takes requests and hangs up is called twice at most for one request."""
    requests = 0

    async def first_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        if not requests:
            await read_request(reader)
            requests += 1
            writer.write(OK)
        await read_request(reader)
        requests += 1

    async with OutgoingHttp(allow_private=True, timeout=20) as client, RawServer(first_only) as server:
        await client.post(url(server), body=b"x", repeatable=True)
        with pytest.raises(BrokenResponse):
            await client.post(url(server), body=b"x", repeatable=True)
        assert (requests, server.connections) == (3, 2)


async def test_what_the_receiver_says_of_keeping_is_heeded() -> None:
    for header, kept in ((b"Keep-Alive: timeout=1\r\n", False), (b"Connection: close\r\n", False), (b"", True)):
        gate = Gate(OK.replace(b"Content", header + b"Content"))
        async with OutgoingHttp(allow_private=True, timeout=20) as client, receiver(gate) as server:
            await client.post(url(server), body=b"x")
            assert (await client.post(url(server), body=b"x")).reused == kept


async def test_a_name_that_moved_takes_its_connections_along() -> None:
    """Kept connections to the old address are not used once DNS says otherwise, nor when it says "inside"."""
    resolver = ScriptedResolver(["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2", "0.0.0.0"])
    gate = Gate()
    async with (
        OutgoingHttp(allow_private=True, resolver=resolver, timeout=20) as client,
        receiver(gate) as server,
        await asyncio.start_server(gate, "127.0.0.2", server.port),
    ):
        seen: list[str | None] = []

        async def move() -> None:
            """Calls until DNS, which is asked at most once a second, has given its next answer."""
            asked = len(resolver.asked)
            async with asyncio.timeout(20):
                while len(resolver.asked) == asked:
                    seen.append((await client.post(url(server, "moving.test"), body=b"x")).remote_address)
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.02)

        await move()
        assert (await client.post(url(server, "moving.test"), body=b"x")).remote_address == "127.0.0.1"
        await move()
        assert seen[-1] == "127.0.0.1"
        assert (await client.post(url(server, "moving.test"), body=b"x")).remote_address == "127.0.0.2"
        await move()
        with pytest.raises(OutgoingError) as caught:
            await client.post(url(server, "moving.test"), body=b"x")
        assert caught.value.reason == "forbidden_address"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_closing_waits_for_every_connection(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        gate = Gate()
        client = OutgoingHttp(allow_private=True, timeout=20, limit_per_host=3)
        async with receiver(gate) as server, RawServer(hang) as silent:
            await asyncio.gather(*(client.post(url(server), body=b"x") for _ in range(3)))
            hung = [asyncio.create_task(client.post(url(silent), body=b"x")) for _ in range(5)]  # two of them wait
            tls = asyncio.create_task(client.post(url(silent, "localhost").replace("http", "https"), body=b"x"))
            await until(lambda: silent.connections == 4)
            await client.close()
            results = await asyncio.gather(*hung, tls, return_exceptions=True)
            assert all(isinstance(result, ConnectFailed | BrokenResponse | OutgoingError) for result in results)
            assert len(results) == 6
            await client.close()

    run(scenario())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_whatever_goes_wrong_its_place_is_free_again(run: Callable[..., None]) -> None:
    """Three places, and many requests that are refused, broken, given up at any moment or answered. One place that is
    not given back, and the end would hang."""

    async def moody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await read_request(reader)).split()[1]
            if path == b"/hang":
                await asyncio.sleep(0.05)
            elif path == b"/close":
                return
            writer.write(b"HTTP/1.1 banana\r\n\r\n" if path == b"/garbage" else OK)

    async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read(1)

    async def scenario() -> None:
        chance = random.Random(5)
        resolver = ScriptedResolver(["127.0.0.1"])
        client = OutgoingHttp(allow_private=True, resolver=resolver, timeout=20, limit=3, limit_per_host=2)
        async with client, RawServer(moody) as server, RawServer(moody) as other, RawServer(no_tls) as rude:
            async with RawServer(hang) as dead:
                pass
            urls = [
                f"{scheme}://{host}:{port}/{path}"
                for path in ("", "", "", "hang", "close", "garbage")
                for host in ("127.0.0.1", "name.test")
                for scheme, port in (("http", server.port), ("http", other.port), ("http", dead.port))
            ]
            urls += [f"https://{host}:{rude.port}/" for host in ("127.0.0.1", "name.test")] * 3

            async def one_of_them() -> None:
                task = asyncio.create_task(
                    client.post(chance.choice(urls), body=b"x", repeatable=chance.random() < 0.5)
                )
                if chance.random() < 0.5:
                    for _ in range(chance.randrange(12)):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if task.cancelled() or task.exception() is None:
                    return
                assert isinstance(task.exception(), OutgoingError)

            for _ in range(50):
                await asyncio.gather(*(one_of_them() for _ in range(20)))
                assert client.connections <= 3
            jobs = [client.post(url(one), body=b"x") for one in (server, other) for _ in range(10)]
            assert [result.body for result in await asyncio.gather(*jobs)] == [b"ok"] * 20

    run(scenario())


async def test_two_addresses_one_of_which_is_dead() -> None:
    """The next address is tried when one refuses; both families, and the first to answer wins."""
    gate = Gate()
    async with receiver(gate) as server:
        for addresses in (["127.0.0.3", "127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1", "127.0.0.3"]):
            connected = await connect(addresses, server.port, allow_private=True)
            assert connected.getpeername()[0] == "127.0.0.1"
            connected.close()
    with pytest.raises(ConnectFailed, match="refused"):
        await connect(["127.0.0.1", "127.0.0.3"], server.port, allow_private=True)


async def test_an_address_that_never_answers_does_not_hold_up_the_next() -> None:
    """A listener whose backlog is full drops what comes: the connection hangs as with a filtered port."""
    import socket

    full = socket.create_server(("127.0.0.2", 0), backlog=0)
    port = full.getsockname()[1]
    fillers = [socket.socket() for _ in range(3)]
    gate = Gate()
    gate.open.set()
    try:
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))
        async with await asyncio.start_server(gate, "127.0.0.1", port):
            resolver = ScriptedResolver(["127.0.0.2", "127.0.0.1"])
            async with OutgoingHttp(allow_private=True, resolver=resolver, timeout=20) as client:
                result = await client.post(f"http://two.test:{port}/", body=b"x")
                assert (result.body, result.remote_address) == (b"ok", "127.0.0.1")
            async with OutgoingHttp(allow_private=True, timeout=20, connect_timeout=0.3) as client:
                with pytest.raises(ConnectFailed, match=r"within 0\.3 s"):
                    await client.post(f"http://127.0.0.2:{port}/", body=b"x")
    finally:
        for filler in (*fillers, full):
            filler.close()
