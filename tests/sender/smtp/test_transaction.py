"""MAIL, RCPT, DATA: what each answer means for each recipient."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_sender.smtp.envelope import dot_stuffed
from tests.sender.smtp.helpers import CONTENT, envelope, outcomes, pool, send
from tests.sender.smtp.scripted_server import EXTENSIONS, ScriptedServer

NO_PIPELINING = EXTENSIONS[1:]
both = pytest.mark.parametrize("extensions", [EXTENSIONS, NO_PIPELINING], ids=["pipelined", "one by one"])
OK = ("delivered", 250, "2.0.0")


async def test_a_message_costs_one_write_for_the_commands_and_one_for_the_content() -> None:
    server = ScriptedServer()
    results = await send(server, envelope("a@x.example", "b@x.example"))

    assert outcomes(results) == [OK, OK]
    assert [result.address for result in results] == ["a@x.example", "b@x.example"]
    assert results[0].reply == "2.0.0 queued as 4711"
    assert results[0].remote_host == "127.0.0.1"
    assert server.sessions[0].chunks[:3] == [
        b"EHLO client.test\r\n",
        f"MAIL FROM:<s@example.com> SIZE={len(CONTENT)}\r\n"
        f"RCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n".encode(),
        CONTENT + b".\r\n",
    ]
    assert server.messages == [CONTENT]


async def test_without_pipelining_each_command_waits_for_its_answer() -> None:
    server = ScriptedServer(extensions=NO_PIPELINING)
    assert outcomes(await send(server)) == [OK]
    assert [chunk.count(b"\r\n") for chunk in server.sessions[0].chunks[:4]] == [1, 1, 1, 1]


async def test_the_null_sender() -> None:
    server = ScriptedServer()
    await send(server, envelope(sender=""))
    assert server.commands[1].startswith("MAIL FROM:<> SIZE=")


@both
async def test_refused_recipients_do_not_touch_the_others(extensions: tuple[str, ...]) -> None:
    answers = {
        "RCPT TO:<no@x.example>": "550-5.1.1 No such user\r\n550 5.1.1 here",
        "RCPT TO:<later@x.example>": "450 4.2.1 greylisted",
    }
    server = ScriptedServer(answers, extensions=extensions)
    results = await send(server, envelope("a@x.example", "no@x.example", "later@x.example", "b@x.example"))

    assert outcomes(results) == [OK, ("bounced", 550, "5.1.1"), ("deferred", 450, "4.2.1"), OK]
    assert results[1].reply == "5.1.1 No such user\n5.1.1 here"
    assert len(server.messages) == 1


@both
@pytest.mark.parametrize("data", ["354 go on", "503 5.5.1 no recipients", "554 5.5.1 no recipients"])
@pytest.mark.parametrize("end", ["554 5.5.1 no recipients", "250 2.0.0 ok"])
async def test_nobody_left(extensions: tuple[str, ...], data: str, end: str) -> None:
    server = ScriptedServer(
        {
            "RCPT TO:<no": "550 5.1.1 no",
            "DATA": [data, "354 go on"],
            ".": ["554 x" if end == "" else end, "250 2.0.0 ok"],
        },
        extensions=extensions,
    )
    async with pool(server) as the_pool:
        assert outcomes(await the_pool.deliver(envelope("no@x.example"))) == [("bounced", 550, "5.1.1")]
        assert not any(server.messages), "an empty message at most (RFC 2920 §3.1)"
        server.answers["DATA"], server.answers["."] = "354 go on", "250 2.0.0 ok"
        assert outcomes(await the_pool.deliver(envelope("yes@x.example"))) == [OK]

    assert len(server.sessions) == 1, "the connection is still good"
    assert "RSET" in server.commands
    assert server.messages[-1] == CONTENT


@both
@pytest.mark.parametrize(
    ("reply", "expected"),
    [("451 4.3.0 later", ("deferred", 451, "4.3.0")), ("550 5.7.1 never", ("bounced", 550, "5.7.1"))],
)
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
async def test_refusals(extensions: tuple[str, ...], command: str, reply: str, expected: tuple[str, int, str]) -> None:
    server = ScriptedServer(
        {command: [reply, "354 go on" if command == "DATA" else "250 2.0.0 ok"]}, extensions=extensions
    )
    async with pool(server) as the_pool:
        assert outcomes(await the_pool.deliver(envelope())) == [expected]
        assert outcomes(await the_pool.deliver(envelope())) == [OK]

    assert len(server.sessions) == 1
    assert ("RSET" in server.commands) == (command != ".")


async def test_a_refused_mail_with_data_accepted_ends_the_message_empty() -> None:
    server = ScriptedServer(
        {"MAIL": "550 5.7.1 no", "RCPT": "503 5.5.1 MAIL first", "DATA": "354 strange", ".": "554 no"}
    )
    assert outcomes(await send(server)) == [("bounced", 550, "5.7.1")]
    assert server.messages == [b""]


async def test_too_many_recipients_is_not_final() -> None:
    server = ScriptedServer({"RCPT TO:<b": "552 5.5.3 too many recipients"})
    assert outcomes(await send(server, envelope("a@x.example", "b@x.example")))[1] == ("deferred", 552, "5.5.3")


async def test_size() -> None:
    server = ScriptedServer(extensions=("PIPELINING", f"SIZE {len(CONTENT) - 1}"))
    [result] = await send(server)
    assert outcomes([result]) == [("bounced", None, "5.3.4")]
    assert str(len(CONTENT)) in result.reply
    assert not any(command.startswith("MAIL") for command in server.commands)

    for extension in (f"SIZE {len(CONTENT)}", "SIZE 0", "SIZE"):
        server = ScriptedServer(extensions=("PIPELINING", extension))
        assert outcomes(await send(server)) == [OK]
        assert server.commands[1] == f"MAIL FROM:<s@example.com> SIZE={len(CONTENT)}"


async def test_8bit_content() -> None:
    message = envelope(content=CONTENT + "é\r\n".encode())
    server = ScriptedServer()
    assert outcomes(await send(server, message)) == [OK]
    assert server.commands[1].endswith(" BODY=8BITMIME")

    server = ScriptedServer(extensions=("PIPELINING",))
    assert outcomes(await send(server, message)) == [("bounced", None, "5.6.3")]


async def test_smtputf8() -> None:
    message = envelope("jürgen@example.com", utf8=True)
    server = ScriptedServer()
    assert outcomes(await send(server, message)) == [OK]
    assert server.commands[1].endswith(" SMTPUTF8")
    assert server.commands[2] == "RCPT TO:<jürgen@example.com>"

    server = ScriptedServer(extensions=("PIPELINING", "8BITMIME"))
    assert outcomes(await send(server, message)) == [("bounced", None, "5.6.7")]
    assert outcomes(await send(server, envelope("jürgen@example.com"))) == [("bounced", None, "5.6.7")]


@pytest.mark.parametrize(
    "bad", ["a\r\nRSET@x.example", "a@x.example> SIZE=1", "a b@x.example", "\x00@x", '"a\r\n"@x', "\ud800@x"]
)
async def test_no_address_can_say_a_command(bad: str) -> None:
    server = ScriptedServer()
    assert outcomes(await send(server, envelope(bad))) == [("bounced", None, "5.1.3")]
    assert outcomes(await send(server, envelope(sender=bad))) == [("bounced", None, "5.1.7")]
    assert not any(command.startswith("MAIL") for command in server.commands)


async def test_a_quoted_local_part_may_hold_spaces() -> None:
    server = ScriptedServer()
    assert outcomes(await send(server, envelope('"a b"@x.example'))) == [OK]


@pytest.mark.parametrize("bad", [b"a\n.\r\nb\r\n", b"a\r.\r\nb\r\n", b"a\r\n.\nMAIL FROM:<x@x.example>\r\n"])
async def test_content_cannot_be_smuggled(bad: bytes) -> None:
    server = ScriptedServer()
    assert outcomes(await send(server, envelope(content=bad))) == [("bounced", None, "5.6.0")]
    assert server.messages == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b".", b"\r\n", b"x", b".\r\n", b"..", b"\r\n.\r\n"]), max_size=12).map(b"".join))
def test_dot_stuffing_comes_undone(content: bytes) -> None:
    wire = dot_stuffed(content)
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    *lines, end, nothing = wire.split(b"\r\n")
    assert (end, nothing) == (b".", b"")
    assert b"." not in lines, "the message ends once"
    read = b"".join(line[line.startswith(b".") :] + b"\r\n" for line in lines)
    assert read == (content if content.endswith(b"\r\n") or not content else content + b"\r\n")


async def test_a_large_message_arrives_whole() -> None:
    content = CONTENT + b"." + b"0123456789abcde\r\n.\r\n" * 150_000
    server = ScriptedServer()
    assert outcomes(await send(server, envelope(content=content))) == [OK]
    assert dot_stuffed(content) == server.messages[0] + b".\r\n"
