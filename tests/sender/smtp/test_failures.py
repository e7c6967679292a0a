"""When the conversation breaks: deferred before the final dot, ambiguous after it, never anything worse."""

from __future__ import annotations

import asyncio

import pytest

from penguinmails_sender.smtp import Outcome, SmtpOptions, SmtpPool, TlsPolicy
from tests.sender.smtp.helpers import CONTENT, QUICK, envelope, outcomes, pool, send
from tests.sender.smtp.scripted_server import CLOSE, DROP, EXTENSIONS, HANG, STALL, ScriptedServer

both = pytest.mark.parametrize("extensions", [EXTENSIONS, EXTENSIONS[1:]], ids=["pipelined", "one by one"])
LARGE = CONTENT + b"x" * 70 + b"\r\n" + (b"0123456789" * 7 + b"\r\n") * 400_000  # more than the kernel holds


@both
@pytest.mark.parametrize("action", [DROP, CLOSE, HANG])
@pytest.mark.parametrize("phase", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_before_the_final_dot_it_is_deferred(phase: str, action: str, extensions: tuple[str, ...]) -> None:
    server = ScriptedServer({phase: action}, extensions=extensions)
    results = await send(server, envelope("a@x.example", "b@x.example"), timeouts=QUICK)

    assert outcomes(results) == [("deferred", None, None)] * 2
    assert results[0].reply
    assert ("within 0.3 seconds" in results[0].reply) == (action == HANG)
    assert server.messages == []


@both
@pytest.mark.parametrize("action", [DROP, CLOSE, HANG])
async def test_after_the_final_dot_it_is_ambiguous(action: str, extensions: tuple[str, ...]) -> None:
    server = ScriptedServer({".": action, "RCPT TO:<no": "550 5.1.1 no"}, extensions=extensions)
    results = await send(server, envelope("a@x.example", "no@x.example"), timeouts=QUICK)

    assert outcomes(results) == [("ambiguous", None, None), ("bounced", 550, "5.1.1")]
    assert len(server.messages) == 1


@pytest.mark.parametrize("reply", ["garbage", "250", "99 x", "354 go on", "250-never\r\nends"])
async def test_nonsense_after_the_final_dot(reply: str) -> None:
    server = ScriptedServer({".": reply})
    [result] = await send(server, timeouts=QUICK)
    assert result.outcome is (Outcome.DELIVERED if reply == "250" else Outcome.AMBIGUOUS)


async def test_a_drop_in_the_middle_of_the_content_is_deferred() -> None:
    server = ScriptedServer(content_limit=(65536, [DROP]))
    assert outcomes(await send(server, envelope(content=LARGE))) == [("deferred", None, None)]


async def test_a_server_that_stops_reading_is_deferred() -> None:
    server = ScriptedServer(content_limit=(65536, [STALL]))
    [result] = await send(server, envelope(content=LARGE), timeouts=QUICK)
    assert outcomes([result]) == [("deferred", None, None)]
    assert "does not take the message within 0.3 seconds" in result.reply


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("552 5.3.4 too big", ("bounced", 552, "5.3.4")), ("452 4.3.1 disk full", ("deferred", 452, "4.3.1"))],
)
async def test_a_refusal_in_the_middle_of_the_content_is_heard(reply: str, expected: tuple[str, int, str]) -> None:
    server = ScriptedServer(content_limit=(65536, [reply, STALL]))
    assert outcomes(await send(server, envelope(content=LARGE))) == [expected]


@both
@pytest.mark.parametrize("phase", ["greeting", "EHLO", "MAIL", "RCPT TO:<b", "DATA", "."])
async def test_421_closes_and_defers_all(phase: str, extensions: tuple[str, ...]) -> None:
    server = ScriptedServer({phase: ["421 4.3.2 going down", "250 never said"]}, extensions=extensions)
    async with pool(server) as the_pool:
        results = await the_pool.deliver(envelope("a@x.example", "b@x.example"))
        assert not the_pool._idle
    assert outcomes(results) == [("deferred", 421, "4.3.2")] * 2
    assert len(server.sessions) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "hello", "25 x", "2500 x", "\x00\xff\xfe", "199 x", "600 x", "250" + "x" * 5000, "250+x", "x" * 100_000,
        "\r\n".join(["250-more"] * 300),
    ],
)  # fmt: skip
@pytest.mark.parametrize("phase", ["greeting", "EHLO", "MAIL"])
async def test_garbage(phase: str, reply: str) -> None:
    [result] = await send(ScriptedServer({phase: reply}), timeouts=QUICK)
    assert outcomes([result]) == [("deferred", None, None)]
    assert result.reply.isprintable()
    assert len(result.reply) < 300


@pytest.mark.parametrize("phase", ["MAIL", "RCPT"])
async def test_a_reply_that_asks_for_more_makes_no_sense_there(phase: str) -> None:
    assert outcomes(await send(ScriptedServer({phase: "354 go on"}), timeouts=QUICK)) == [("deferred", None, None)]


async def test_data_answered_with_250_is_not_a_delivery() -> None:
    server = ScriptedServer({"DATA": "250 ok"})
    assert outcomes(await send(server, timeouts=QUICK)) == [("deferred", None, None)]
    assert server.messages == []


async def test_control_characters_never_leave_a_reply() -> None:
    [result] = await send(ScriptedServer({".": "550 5.7.1 a\x00b\x1b[31mc\xff" + "y" * 3000}))
    assert result.reply.startswith("5.7.1 a?b?[31mc\ufffdy")
    assert len(result.reply) == 2000


async def test_nobody_listens() -> None:
    the_pool = SmtpPool(SmtpOptions("127.0.0.1", 1, tls=TlsPolicy.OFF))
    [result] = await the_pool.deliver(envelope())
    await the_pool.aclose()
    assert outcomes([result]) == [("deferred", None, None)]
    assert "no connection to 127.0.0.1:1" in result.reply


async def test_a_cancelled_delivery_closes_its_connection() -> None:
    server = ScriptedServer({".": [HANG, "250 2.0.0 ok"]})
    async with pool(server) as the_pool:
        task = asyncio.create_task(the_pool.deliver(envelope()))
        while not server.messages:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while server.open_sessions:
            await asyncio.sleep(0.01)
        assert outcomes(await the_pool.deliver(envelope())) == [("delivered", 250, "2.0.0")]
    assert len(server.sessions) == 2


async def test_a_connection_cancelled_while_it_opens_is_closed() -> None:
    server = ScriptedServer({"EHLO": HANG})
    async with pool(server) as the_pool:
        task = asyncio.create_task(the_pool.deliver(envelope()))
        while not server.commands:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while server.open_sessions:
            await asyncio.sleep(0.01)
