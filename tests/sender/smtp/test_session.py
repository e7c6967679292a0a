"""Greeting, EHLO, STARTTLS, AUTH: what is sent only when it is safe to send it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
import uvloop

from penguinmails_sender.smtp import SmtpOptions
from tests.sender.smtp.certificates import Pair, make_pair
from tests.sender.smtp.helpers import QUICK, envelope, outcomes, send
from tests.sender.smtp.scripted_server import DROP, EXTENSIONS, ScriptedServer

OK = ("delivered", 250, "2.0.0")
TLS = (*EXTENSIONS, "STARTTLS")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair("mail.test", Path(tmp_path_factory.mktemp("certificates")))


async def test_helo_when_ehlo_is_not_known() -> None:
    server = ScriptedServer({"EHLO": "502 5.5.1 not implemented"})
    assert outcomes(await send(server)) == [OK]
    assert server.commands[:3] == ["EHLO client.test", "HELO client.test", "MAIL FROM:<s@example.com>"]


@pytest.mark.parametrize("answers", [{"greeting": "554 5.7.1 go away"}, {"EHLO": "550 no", "HELO": "554 5.7.1 no"}])
async def test_a_server_that_does_not_talk_to_us_defers(answers: dict[str, str]) -> None:
    server = ScriptedServer(answers)
    assert outcomes(await send(server)) == [("deferred", 554, "5.7.1")]
    assert not any(command.startswith("MAIL") for command in server.commands)


async def test_starttls_with_the_right_certificate(pair: Pair) -> None:
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    [result] = await send(server, tls="required", ssl_context=pair.client, tls_name="mail.test")

    assert outcomes([result]) == [OK]
    assert result.tls
    assert server.sessions[0].encrypted
    assert server.commands[:3] == ["EHLO client.test", "STARTTLS", "EHLO client.test"]


@pytest.mark.parametrize("case", ["wrong name", "unknown authority", "not offered", "refused", "dropped"])
async def test_required_means_required(pair: Pair, case: str) -> None:
    answers = {"refused": {"STARTTLS": "454 4.7.0 not now"}, "dropped": {"STARTTLS": DROP}}.get(case, {})
    server = ScriptedServer(answers, extensions=EXTENSIONS if case == "not offered" else TLS, tls=pair.server)
    [result] = await send(
        server,
        tls="required",
        ssl_context=None if case == "unknown authority" else pair.client,
        tls_name="other.test" if case == "wrong name" else "mail.test",
        username="u",
        password="p",
    )

    assert result.outcome == "deferred"
    assert not result.tls
    expected = {
        "wrong name": "4.7.5", "unknown authority": "4.7.5", "not offered": "4.7.4", "refused": "4.7.0",
        "dropped": "4.7.5",
    }  # fmt: skip
    assert result.enhanced_code == expected[case]
    assert result.reply
    assert not any(command.startswith(("MAIL", "AUTH")) for command in server.commands)
    assert len(server.sessions) == 1


async def test_opportunistic_tls_takes_any_certificate(pair: Pair) -> None:
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    [result] = await send(server, tls="opportunistic")
    assert outcomes([result]) == [OK]
    assert result.tls


async def test_opportunistic_tls_goes_on_without(pair: Pair) -> None:
    for server in (
        ScriptedServer(),
        ScriptedServer({"STARTTLS": "454 4.7.0 not now"}, extensions=TLS),
        ScriptedServer({"STARTTLS": ["220 go on\r\nnot TLS at all"]}, extensions=TLS),
    ):
        [result] = await send(server, tls="opportunistic", timeouts=QUICK)
        assert outcomes([result]) == [OK]
        assert not result.tls


async def test_off_never_starts_tls(pair: Pair) -> None:
    server = ScriptedServer(extensions=TLS, tls=pair.server)
    assert outcomes(await send(server, tls="off")) == [OK]
    assert "STARTTLS" not in server.commands


@pytest.mark.parametrize("injected", ["250 2.0.0 injected", "250-half"])
async def test_text_before_the_handshake_is_not_believed(pair: Pair, injected: str) -> None:
    server = ScriptedServer({"STARTTLS": f"220 go on\r\n{injected}"}, extensions=TLS, tls=pair.server)
    [result] = await send(server, tls="required", ssl_context=pair.client, tls_name="mail.test")
    assert outcomes([result]) == [("deferred", None, "4.7.5")]
    assert "before TLS had started" in result.reply
    assert not any(command.startswith("MAIL") for command in server.commands)


async def test_implicit_tls(pair: Pair) -> None:
    server = ScriptedServer(tls=pair.server)
    [result] = await send(server, implicit_tls=True, tls="implicit", ssl_context=pair.client, tls_name="mail.test")
    assert outcomes([result]) == [OK]
    assert result.tls
    assert "STARTTLS" not in server.commands

    server = ScriptedServer(tls=pair.server)
    [result] = await send(server, implicit_tls=True, tls="implicit", ssl_context=pair.client)
    assert outcomes([result]) == [("deferred", None, "4.7.5")]
    assert server.commands == []


@pytest.mark.parametrize("offer", ["AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN", "AUTH CRAM-MD5 PLAIN"])
async def test_auth_plain(offer: str) -> None:
    server = ScriptedServer(extensions=(*EXTENSIONS, offer))
    assert outcomes(await send(server, username="ünser", password="geheim")) == [OK]
    assert server.commands[1] == "AUTH PLAIN " + b64encode("\0ünser\0geheim".encode()).decode()


async def test_auth_login() -> None:
    user, password = b64encode(b"user").decode(), b64encode(b"pass").decode()
    answers = {"AUTH LOGIN": "334 VXNlcm5hbWU6", user: "334 UGFzc3dvcmQ6", password: "235 2.7.0 welcome"}
    server = ScriptedServer(answers, extensions=(*EXTENSIONS, "AUTH LOGIN"))
    assert outcomes(await send(server, username="user", password="pass")) == [OK]
    assert server.commands[1:4] == ["AUTH LOGIN", user, password]


async def test_a_refused_password_is_nobody_elses_fault() -> None:
    server = ScriptedServer({"AUTH": "535 5.7.8 bad credentials"}, extensions=(*EXTENSIONS, "AUTH PLAIN"))
    [result] = await send(server, username="user", password="secret-word")
    assert outcomes([result]) == [("deferred", 535, "5.7.8")]
    assert "secret" not in repr(result)


async def test_no_known_mechanism() -> None:
    server = ScriptedServer(extensions=(*EXTENSIONS, "AUTH CRAM-MD5"))
    assert outcomes(await send(server, username="u", password="p")) == [("deferred", None, "4.7.4")]


@pytest.mark.parametrize("extensions", [EXTENSIONS, TLS])
async def test_credentials_never_go_out_in_the_clear(extensions: tuple[str, ...]) -> None:
    server = ScriptedServer({"STARTTLS": "454 no"}, extensions=(*extensions, "AUTH PLAIN"))
    [result] = await send(server, tls="opportunistic", username="u", password="p")
    assert outcomes([result]) == [("deferred", None, "4.7.4")]
    assert not any(command.startswith("AUTH") for command in server.commands)


async def test_a_failed_handshake_never_leads_to_credentials_in_the_clear() -> None:
    server = ScriptedServer({"STARTTLS": "220 go on\r\nnot TLS"}, extensions=(*TLS, "AUTH PLAIN"))
    [result] = await send(server, tls="opportunistic", username="u", password="p", timeouts=QUICK)
    assert outcomes([result]) == [("deferred", None, "4.7.5")]
    assert not any(command.startswith("AUTH") for command in server.commands)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="both or neither"):
        SmtpOptions("mail.test", 25, username="u")
    with pytest.raises(ValueError, match="NUL"):
        SmtpOptions("mail.test", 25, username="u", password="p\x00")
    with pytest.raises(ValueError, match="hostname"):
        SmtpOptions("mail.test", 25, hostname="a\r\nb")
    assert "secret" not in repr(SmtpOptions("mail.test", 25, username="u", password="secret"))


def test_the_same_on_uvloop(pair: Pair) -> None:
    async def scenario() -> None:
        for content in (
            b"From: a@example.com\r\n\r\nhi\r\n",
            b"From: a@example.com\r\n\r\n" + b"x" * 70 + b"\r\n" * 500_000,
        ):
            server = ScriptedServer(extensions=TLS, tls=pair.server)
            message = envelope(content=content)
            [result] = await send(server, message, tls="required", ssl_context=pair.client, tls_name="mail.test")
            assert outcomes([result]) == [OK]
            assert server.messages == [content]
        assert outcomes(await send(ScriptedServer({".": DROP}))) == [("ambiguous", None, None)]

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(scenario())
    finally:
        loop.close()
