"""The SMTP server, spoken to by smtplib and by raw sockets."""

from __future__ import annotations

import asyncio
import datetime
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from penguinmails_sender.inbox.magic import magic_reply
from penguinmails_sender.smtpd.received import Received
from penguinmails_sender.smtpd.server import SmtpServer
from tests.sender.inbox.samples import FROM, TO, pem, rsa_key


class Line:
    """A raw connection: what is sent and read is up to the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Line:
        line = cls(*await asyncio.open_connection("127.0.0.1", port))
        assert (await line.reply()).startswith("220 ")
        return line

    async def reply(self) -> str:
        """One whole reply, the lines joined by a space."""
        lines: list[str] = []
        while True:
            text = (await self.reader.readuntil(b"\r\n")).decode().rstrip()
            lines.append(text)
            if text[3:4] != "-":
                return " ".join(lines)

    async def say(self, data: bytes) -> str:
        self.writer.write(data)
        return await self.reply()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
def kept() -> list[Received]:
    return []


@pytest.fixture
async def server(kept: list[Received]) -> AsyncIterator[SmtpServer]:
    async with SmtpServer(
        lambda message: kept.append(message), max_size=10_000, recipient_reply=magic_reply
    ) as running:
        yield running


@pytest.fixture
async def line(server: SmtpServer) -> AsyncIterator[Line]:
    opened = await Line.open(server.port)
    yield opened
    await opened.close()


async def ready(line: Line) -> None:
    """Up to the 354 of DATA."""
    await line.say(b"EHLO client.test\r\n")
    await line.say(b"MAIL FROM:<ada@acme.test>\r\n")
    await line.say(b"RCPT TO:<grace@example.test>\r\n")
    assert (await line.say(b"DATA\r\n")).startswith("354 ")


async def test_smtplib_delivers_with_envelope(server: SmtpServer, kept: list[Received]) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", server.port, local_hostname="laptop.test") as smtp:
            smtp.ehlo()
            assert {"pipelining", "8bitmime", "smtputf8", "size", "enhancedstatuscodes"} <= set(smtp.esmtp_features)
            assert smtp.esmtp_features["size"] == "10000"
            smtp.sendmail(FROM, [TO, "b@example.test"], b"Subject: x\r\n\r\n.dot\r\n..two\r\n")

    await asyncio.to_thread(send)
    (message,) = kept
    assert message.envelope_sender == FROM
    assert message.recipients == (TO, "b@example.test")
    assert message.raw == b"Subject: x\r\n\r\n.dot\r\n..two\r\n"
    assert message.helo == "laptop.test"
    assert message.remote.startswith("127.0.0.1:")
    assert message.tls is False
    assert message.received_at.tzinfo is datetime.UTC


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b".\r\n", b"a\r\n.b\r\n", b"no\nbare\rends\r\n", b"Subject: x\r\n\r\n\xff\x00\r\n"]
)
async def test_bytes_are_kept_as_sent(line: Line, kept: list[Received], raw: bytes) -> None:
    await ready(line)
    stuffed = b"\r\n".join(b"." + part if part.startswith(b".") else part for part in raw.split(b"\r\n"))
    assert (await line.say(stuffed + b".\r\n")).startswith("250 2.0.0")
    assert [message.raw for message in kept] == [raw]


async def test_bytes_one_at_a_time(line: Line, kept: list[Received]) -> None:
    for byte in b"EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nx: y\r\n\r\nhi\r\n.\r\n":
        line.writer.write(bytes([byte]))
        await line.writer.drain()
        await asyncio.sleep(0)
    replies = [(await line.reply())[:3] for _ in range(5)]
    assert replies == ["250", "250", "250", "354", "250"]
    assert kept[0].raw == b"x: y\r\n\r\nhi\r\n"
    assert kept[0].envelope_sender == ""


async def test_whole_session_in_one_packet(line: Line, kept: list[Received]) -> None:
    one = b"MAIL FROM:<a@b.test> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\nDATA\r\nm%d\r\n.\r\n"
    line.writer.write(b"EHLO c.test\r\n" + one % 1 + one % 2 + b"QUIT\r\n")
    replies = [(await line.reply())[:3] for _ in range(10)]
    assert replies == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [message.raw for message in kept] == [b"m1\r\n", b"m2\r\n"]
    assert await line.reader.read() == b""


async def test_only_crlf_dot_crlf_ends_the_message(line: Line, kept: list[Received]) -> None:
    """SMTP smuggling: a second message behind a sloppy end of data stays part of the first."""
    await ready(line)
    smuggled = b"hi\n.\nMAIL FROM:<x@y.test>\r\n\n.\r\nRCPT\r\n"
    assert (await line.say(smuggled + b".\r\n")).startswith("250")
    assert [message.raw for message in kept] == [smuggled]


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("bounce@x.test", "550 5.1.1"),
        ("Bounced+42@x.test", "550 5.1.1"),
        ("defer@x.test", "451 4.7.1"),
        ("deferred@x.test", "451 4.7.1"),
        ("full@x.test", "452 4.2.2"),
        ("spam@x.test", "550 5.7.1"),
        ("bouncer@x.test", "250 2.1.5"),
    ],
)
async def test_magic_recipients(line: Line, recipient: str, reply: str) -> None:
    await line.say(b"EHLO c.test\r\n")
    await line.say(b"MAIL FROM:<a@b.test>\r\n")
    assert (await line.say(f"RCPT TO:<{recipient}>\r\n".encode())).startswith(reply + " ")


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (["MAIL FROM:<a@b.test>"], "503 5.5.1"),
        (["EHLO"], "501 5.5.4"),
        (["EHLO c", "RCPT TO:<a@b.test>"], "503 5.5.1"),
        (["EHLO c", "DATA"], "503 5.5.1"),
        (["EHLO c", "MAIL FROM:<a@b.test>", "DATA"], "554 5.5.1"),
        (["EHLO c", "MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test>"], "503 5.5.1"),
        (["EHLO c", "MAIL FROM:a@b.test"], "501 5.5.4"),
        (["EHLO c", "MAIL FROM:<nobody>"], "501 5.1.7"),
        (["EHLO c", "MAIL FROM:<a@b.test> SIZE=10001"], "552 5.3.4"),
        (["EHLO c", "MAIL FROM:<a@b.test> SIZE=x"], "555 5.5.4"),
        (["EHLO c", "MAIL FROM:<a@b.test> BODY=BINARYMIME"], "555 5.5.4"),
        (["EHLO c", "MAIL FROM:<ü@b.test>"], "553 5.6.7"),
        (["EHLO c", "MAIL FROM:<ü@b.test> SMTPUTF8", "RCPT TO:<ö@b.test>"], "250 2.1.5"),
        (["EHLO c", "MAIL FROM:<a@b.test>", "RCPT TO:<ö@b.test>"], "553 5.6.7"),
        (["EHLO c", "MAIL FROM:<a@b.test>", "RCPT TO:<>"], "501 5.1.3"),
        (["EHLO c", "MAIL FROM:<a@b.test>", 'RCPT TO:<"a>b"@c.test>'], "250 2.1.5"),
        (["EHLO c", "MAIL FROM:<a@b.test>", "RCPT TO:<postmaster>"], "250 2.1.5"),
        (["EHLO c", "MAIL FROM:<a@b.test>", "RSET", "RCPT TO:<a@b.test>"], "503 5.5.1"),
        (["HELO c"], "250 inbox.localhost"),
        (["FROB"], "500 5.5.1"),
        (["NOOP"], "250 2.0.0"),
        (["VRFY a"], "252 2.5.2"),
        (["HELP"], "214 2.0.0"),
        (["EHLO c", "STARTTLS"], "502 5.5.1"),
        (["QUIT"], "221 2.0.0"),
    ],
)
async def test_replies(line: Line, commands: list[str], reply: str) -> None:
    last = ""
    for command in commands:
        last = await line.say(command.encode() + b"\r\n")
    assert last.startswith(reply), last


async def test_bare_line_feed_and_garbage_are_refused(line: Line) -> None:
    assert (await line.say(b"EHLO c\n")).startswith("500 5.5.2")
    assert (await line.say(b"EHLO \xff\r\n")).startswith("500 5.5.2")
    assert (await line.say(b"A" * 5000)).startswith("500 5.5.2")
    assert await line.reader.read() == b""


async def test_too_many_recipients(line: Line) -> None:
    await line.say(b"EHLO c\r\n")
    await line.say(b"MAIL FROM:<a@b.test>\r\n")
    line.writer.write(b"".join(b"RCPT TO:<r%d@b.test>\r\n" % number for number in range(1001)))
    replies = [await line.reply() for _ in range(1001)]
    assert {reply[:9] for reply in replies[:1000]} == {"250 2.1.5"}
    assert replies[1000].startswith("452 4.5.3")


@pytest.mark.parametrize("size", [10_001, 200_000])
async def test_too_big_is_refused_and_the_connection_goes_on(line: Line, kept: list[Received], size: int) -> None:
    await ready(line)
    assert (await line.say(b"x" * (size - 2) + b"\r\n.\r\n")).startswith("552 5.3.4")
    await ready(line)
    assert (await line.say(b"x" * 9_998 + b"\r\n.\r\n")).startswith("250 2.0.0")
    assert [len(message.raw) for message in kept] == [10_000]


async def test_hook_chooses_the_answer() -> None:
    def full(message: Received) -> str | None:
        if message.raw == b"raise\r\n":
            raise OSError("disk full")
        return "451 4.3.1 Disk full"

    async with SmtpServer(full) as server:
        line = await Line.open(server.port)
        await ready(line)
        assert await line.say(b"x\r\n.\r\n") == "451 4.3.1 Disk full"
        await ready(line)
        assert (await line.say(b"raise\r\n.\r\n")).startswith("451 4.3.0")
        await line.close()


async def test_a_hook_may_take_its_time_and_what_comes_behind_waits() -> None:
    gate = asyncio.Event()
    seen: list[bytes] = []

    async def keep(message: Received) -> str | None:
        seen.append(message.raw)
        await gate.wait()
        if message.raw == b"raise\r\n":
            raise OSError("disk full")
        return "451 4.3.1 Disk full" if message.raw == b"full\r\n" else None

    async with SmtpServer(keep, idle_seconds=0.05) as server:
        line = await Line.open(server.port)
        await ready(line)
        line.writer.write(b"full\r\n.\r\nNOOP\r\nMAIL FROM:<>\r\n")
        waiting = asyncio.create_task(line.reply())
        while not seen:
            await asyncio.sleep(0)
        await asyncio.sleep(0.12)  # longer than a silent connection may be
        assert not waiting.done()
        server.idle_seconds = 30
        gate.set()
        assert await waiting == "451 4.3.1 Disk full"
        assert (await line.reply()).startswith("250 2.0.0")
        assert (await line.reply()).startswith("250 2.1.0")
        await line.say(b"RSET\r\n")
        await ready(line)
        assert (await line.say(b"raise\r\n.\r\n")).startswith("451 4.3.0")
        await ready(line)
        assert (await line.say(b"x\r\n.\r\n")).startswith("250 2.0.0")
        await line.close()


async def test_a_client_that_leaves_while_its_message_is_kept() -> None:
    gate, kept = asyncio.Event(), asyncio.Event()

    async def keep(message: Received) -> str | None:
        await gate.wait()
        kept.set()
        return None

    async with SmtpServer(keep) as server:
        line = await Line.open(server.port)
        await ready(line)
        line.writer.write(b"x\r\n.\r\n")
        while not server.received:
            await asyncio.sleep(0)
        line.writer.transport.abort()
        gate.set()
        await kept.wait()


async def test_no_more_connections_than_wanted() -> None:
    async with SmtpServer(max_connections=1) as server:
        first = await Line.open(server.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        second = Line(reader, writer)
        assert (await second.reply()).startswith("421 4.3.2")
        assert await reader.read() == b""
        await second.close()
        assert (await first.say(b"NOOP\r\n")).startswith("250")
        await first.close()


async def test_stop_says_421_and_closes_everything() -> None:
    server = SmtpServer()
    await server.start()
    lines = [await Line.open(server.port) for _ in range(3)]
    await ready(lines[0])
    await server.stop()
    for line in lines:
        assert (await line.reply()).startswith("421 4.3.2")
        assert await line.reader.read() == b""
        await line.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


async def test_stop_does_not_wait_for_a_client_that_does_not_read() -> None:
    server = SmtpServer()
    await server.start()
    client = socket.create_connection(("127.0.0.1", server.port))
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    flood = loop.create_task(loop.sock_sendall(client, b"NOOP\r\n" * 2_000_000))
    await asyncio.sleep(0.3)  # long enough for both directions to fill up
    await server.stop()
    assert not server.connections
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    client.close()


async def test_idle_connections_are_closed() -> None:
    async with SmtpServer(idle_seconds=0.05) as server:
        line = await Line.open(server.port)
        assert (await line.reply()).startswith("421 4.4.2")
        await line.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    path = tmp_path / "tls.pem"
    path.write_bytes(pem(key) + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return path


async def test_starttls(certificate: Path, kept: list[Received]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def send(port: int) -> None:
        with smtplib.SMTP("localhost", port) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=str(certificate)))
            smtp.ehlo()
            assert "starttls" not in smtp.esmtp_features
            smtp.sendmail(FROM, [TO], b"Subject: x\r\n\r\nsecret\r\n" + b"y" * 70_000)

    async with SmtpServer(lambda message: kept.append(message), tls=context) as server:
        await asyncio.to_thread(send, server.port)
        assert kept[0].tls is True
        line = await Line.open(server.port)
        await line.say(b"EHLO c\r\n")
        # Commands injected before the handshake must not survive it.
        assert (await line.say(b"STARTTLS\r\nMAIL FROM:<x@y.test>\r\n")).startswith("503")
        assert await line.reader.read() == b""
        await line.close()
        broken = await Line.open(server.port)
        await broken.say(b"EHLO c\r\n")
        assert (await broken.say(b"STARTTLS\r\n")).startswith("220")
        broken.writer.write(b"this is no handshake\r\n")
        await broken.reader.read()
        await broken.close()
