"""Connections are kept, shared and given up as the limits say."""

from __future__ import annotations

import asyncio

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from penguinmails_sender.smtp import PoolLimits, SmtpOptions, SmtpPool, TlsPolicy
from tests.sender.smtp.helpers import CONTENT, envelope, outcomes, pool
from tests.sender.smtp.scripted_server import CLOSE, EXTENSIONS, HANG, ScriptedServer

OK = ("delivered", 250, "2.0.0")


async def test_one_connection_serves_many_messages() -> None:
    server = ScriptedServer()
    async with pool(server) as the_pool:
        for _ in range(5):
            assert outcomes(await the_pool.deliver(envelope())) == [OK]
    assert len(server.sessions) == 1
    assert len(server.messages) == 5
    assert "RSET" not in server.commands
    assert server.commands[-1] == "QUIT"


async def test_no_more_messages_than_allowed_on_one_connection() -> None:
    server = ScriptedServer()
    async with pool(server, PoolLimits(messages=2)) as the_pool:
        for _ in range(5):
            await the_pool.deliver(envelope())
    assert [len(session.messages) for session in server.sessions] == [2, 2, 1]
    assert [session.commands[-1] for session in server.sessions] == ["QUIT"] * 3


async def test_no_more_connections_than_allowed_at_once() -> None:
    server = ScriptedServer()
    async with pool(server, PoolLimits(connections=3)) as the_pool:
        results = await asyncio.gather(*[the_pool.deliver(envelope(f"{index}@x.example")) for index in range(30)])
        assert len(server.sessions) == 3
    assert [outcomes(result) for result in results] == [[OK]] * 30
    assert [result[0].address for result in results] == [f"{index}@x.example" for index in range(30)]


async def test_limits_may_change_and_hold_from_then_on() -> None:
    server = ScriptedServer()
    async with pool(server, PoolLimits(connections=5, messages=1)) as the_pool:
        the_pool.limits = PoolLimits(connections=1, messages=100)
        results = await asyncio.gather(*[the_pool.deliver(envelope()) for _ in range(10)])
    assert [outcomes(result) for result in results] == [[OK]] * 10
    assert len(server.sessions) == 1


async def test_idle_connections_are_closed_with_goodbye() -> None:
    server = ScriptedServer()
    async with pool(server, PoolLimits(idle=0.05)) as the_pool:
        await asyncio.gather(*[the_pool.deliver(envelope()) for _ in range(3)])
        async with asyncio.timeout(5):
            while server.open_sessions:
                await asyncio.sleep(0.01)
        assert [session.commands[-1] for session in server.sessions] == ["QUIT"] * 3
        assert outcomes(await the_pool.deliver(envelope())) == [OK]
    assert len(server.sessions) == 4


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    server = ScriptedServer()
    async with pool(server) as the_pool:
        await the_pool.deliver(envelope())
        server.sessions[0].do("421 4.4.2 idle for too long")
        await asyncio.sleep(0.05)
        assert outcomes(await the_pool.deliver(envelope())) == [OK]
    assert len(server.sessions) == 2


@pytest.mark.parametrize("answer", [CLOSE, "421 4.4.2 idle for too long"])
async def test_a_connection_that_dies_at_mail_is_replaced_unless_it_was_new(answer: str) -> None:
    server = ScriptedServer({"MAIL": ["250 2.1.0 ok", answer, "250 2.1.0 ok"]})
    async with pool(server) as the_pool:
        assert outcomes(await the_pool.deliver(envelope())) == [OK]
        assert outcomes(await the_pool.deliver(envelope())) == [OK]
    assert len(server.sessions) == 2
    assert len(server.messages) == 2

    server = ScriptedServer({"MAIL": answer})
    async with pool(server) as the_pool:
        assert (await the_pool.deliver(envelope()))[0].outcome == "deferred"
    assert len(server.sessions) == 1


@pytest.mark.parametrize("extensions", [EXTENSIONS, EXTENSIONS[1:]], ids=["pipelined", "one by one"])
async def test_a_server_that_refuses_rset_gets_a_new_connection(extensions: tuple[str, ...]) -> None:
    server = ScriptedServer({"RSET": "500 5.5.1 no", "RCPT TO:<no": "550 5.1.1 no"}, extensions=extensions)
    async with pool(server) as the_pool:
        assert outcomes(await the_pool.deliver(envelope("no@x.example"))) == [("bounced", 550, "5.1.1")]
        assert outcomes(await the_pool.deliver(envelope())) == [OK]
    assert len(server.sessions) == 2
    assert server.messages[-1] == CONTENT


async def test_an_unasked_reply_spoils_a_connection() -> None:
    server = ScriptedServer()
    async with pool(server) as the_pool:
        await the_pool.deliver(envelope())
        server.sessions[0].do("250 2.0.0 this would be taken for the answer to MAIL")
        await asyncio.sleep(0.05)
        assert outcomes(await the_pool.deliver(envelope())) == [OK]
    assert len(server.sessions) == 2


async def test_one_that_waits_and_is_cancelled_takes_no_place() -> None:
    server = ScriptedServer({".": [HANG, "250 2.0.0 ok"]})
    async with pool(server, PoolLimits(connections=1)) as the_pool:
        first = asyncio.create_task(the_pool.deliver(envelope()))
        while not server.messages:
            await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(the_pool.deliver(envelope())) for _ in range(3)]
        await asyncio.sleep(0)
        for task in (waiting[0], first, waiting[1]):
            task.cancel()
        assert outcomes(await waiting[2]) == [OK]
        done = await asyncio.gather(first, *waiting[:2], return_exceptions=True)
        assert all(isinstance(item, asyncio.CancelledError) for item in done)


async def test_a_closed_pool_takes_nothing() -> None:
    server = ScriptedServer()
    async with pool(server) as the_pool:
        await the_pool.deliver(envelope())
        await the_pool.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await the_pool.deliver(envelope())


class Sink:
    """An aiosmtpd handler that keeps what it gets."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("no"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 2.0.0 queued"


async def test_with_a_foreign_server() -> None:
    sink, loop = Sink(), asyncio.get_running_loop()
    listener = await loop.create_server(lambda: SMTP(sink, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
    the_pool = SmtpPool(
        SmtpOptions("127.0.0.1", listener.sockets[0].getsockname()[1], tls=TlsPolicy.OFF), PoolLimits(connections=2)
    )
    content = CONTENT + b".\r\n..\r\n.x\r\n" + "é\r\n".encode()
    message = envelope("a@x.example", "no@x.example", "jürgen@x.example", content=content, utf8=True)
    try:
        results = await asyncio.gather(*[the_pool.deliver(message) for _ in range(10)])
    finally:
        await the_pool.aclose()
        listener.close()
    assert [outcomes(result) for result in results] == [[OK, ("bounced", 550, "5.1.1"), OK]] * 10
    assert [item.content for item in sink.envelopes] == [content] * 10
    assert sink.envelopes[0].rcpt_tos == ["a@x.example", "jürgen@x.example"]
