"""TLS of the outgoing client against real servers: sessions that are resumed, client certificates, plain words."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penguinmails_core.kit.http import (
    BrokenResponse,
    ClientCertificate,
    HttpResult,
    InvalidRequest,
    OutgoingHttp,
    TlsFailed,
)
from tests.core.kit.http_world import WORLD, RawServer, certificate, echo, hang, http_server, read_request

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@asynccontextmanager
async def tls_client(trust: Path, **options: object) -> AsyncIterator[OutgoingHttp]:
    make = partial(ssl.create_default_context, cafile=str(trust))
    async with OutgoingHttp(allow_private=True, resolver=WORLD, timeout=20, trust=make, **options) as client:  # type: ignore[arg-type]
        yield client


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[tuple[bool, str | None]]]]:
    """Hangs up after each answer. Notes of each connection whether it was resumed, and the protocol of ALPN."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    seen: list[tuple[bool, str | None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
            await read_request(reader)
            seen.append((bool(tls.session_reused), tls.selected_alpn_protocol()))
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_second_connection_resumes_the_session(
    version: ssl.TLSVersion, run: Callable[..., None], tmp_path: Path
) -> None:
    """Both sides say so: what the client reports and what the server saw."""

    async def scenario() -> None:
        context, trust = certificate(tmp_path, ["receiver.test", "localhost"])
        context.minimum_version = context.maximum_version = version
        async with tls_server(context) as (port, seen), tls_client(trust) as client:
            results = [await client.post(f"https://receiver.test:{port}/", body=b"x") for _ in range(4)]
            assert [result.reused for result in results] == [False] * 4
            assert [result.tls_resumed for result in results] == [False, True, True, True]
            assert {result.tls_version for result in results} == {version.name.replace("_", ".")}
            # The session of one host is not offered to another, though it is the same server.
            assert not (await client.post(f"https://localhost:{port}/", body=b"x")).tls_resumed
        assert seen == [(resumed, "http/1.1") for resumed in (False, True, True, True, False)]

    run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_that_the_server_forgot_costs_a_full_handshake(version: ssl.TLSVersion, tmp_path: Path) -> None:
    first, trust = certificate(tmp_path, ["receiver.test"])
    async with tls_client(trust) as client:
        contexts = [first, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)]
        contexts[1].load_cert_chain(trust, tmp_path / "key.pem")
        for context in contexts:
            context.minimum_version = context.maximum_version = version
        async with tls_server(contexts[0]) as (port, _):
            await client.post(f"https://receiver.test:{port}/", body=b"x")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=contexts[1]):
            result = await client.post(f"https://receiver.test:{port}/", body=b"x")
            assert (result.status, result.tls_resumed) == (204, False)
            assert (await client.post(f"https://receiver.test:{port}/", body=b"x")).tls_resumed


async def test_kept_tls_connections_carry_many_requests(tmp_path: Path) -> None:
    context, trust = certificate(tmp_path, ["receiver.test"])
    async with http_server(echo, context) as port, tls_client(trust) as client:
        for size in (0, 1, 20_000, 300_000):
            result = await client.post(f"https://receiver.test:{port}/", body=b"a" * size)
            assert (result.status, len(result.body)) == (201, min(size, 65536))
            assert result.tls_version == "TLSv1.3"
        results = [await client.post(f"https://receiver.test:{port}/", body=b"b") for _ in range(3)]
        assert [result.reused for result in results] == [False, True, True]
        assert results[2].timings.tls_ms is None
        assert (results[0].timings.tls_ms or 0) > 0


async def test_tls_cut_off_inside_an_answer(tmp_path: Path) -> None:
    context, trust = certificate(tmp_path, ["receiver.test"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server, tls_client(trust) as client:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BrokenResponse):
            await client.post(f"https://receiver.test:{port}/", body=b"x", repeatable=True)


@contextmanager
def blocking_tls_server(context: ssl.SSLContext, shown: list[int]) -> Iterator[int]:
    """Answers 204 for as long as it is asked. In threads, because asyncio's server sends no alert when a handshake
    fails. Notes the serial number of each client's certificate."""

    def serve(raw: socket.socket) -> None:
        with raw, context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as tls, suppress(OSError):
            try:
                tls.do_handshake()
            except ssl.SSLError:
                tls.shutdown(socket.SHUT_WR)
                while socket.socket.recv(tls, 65536):  # were it left unread, the alert could be lost with it
                    pass
                return
            while tls.recv(65536):
                der = tls.getpeercert(binary_form=True)
                assert der is not None
                shown.append(x509.load_der_x509_certificate(der).serial_number)
                tls.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def accept() -> None:
        with suppress(OSError):
            while True:
                raw, _ = listening.accept()
                threads.append(threading.Thread(target=serve, args=(raw,)))
                threads[-1].start()

    listening = socket.create_server(("127.0.0.1", 0))
    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in threads:
            thread.join(20)


def pem(folder: Path) -> ClientCertificate:
    """A certificate with its key; the folder keeps both."""
    folder.mkdir()
    certificate(folder, ["client.test"], folder.name)
    return ClientCertificate((folder / "certificate.pem").read_text(), (folder / "key.pem").read_text())


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_is_shown_and_keeps_connections_apart(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    context, trust = certificate(tmp_path, ["receiver.test"])
    one, two = pem(tmp_path / "one"), pem(tmp_path / "two")
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=one.certificate + two.certificate)
    shown: list[int] = []
    async with tls_client(trust) as client:
        with blocking_tls_server(context, shown) as port:

            async def post(with_: ClientCertificate | None) -> HttpResult:
                return await client.post(f"https://receiver.test:{port}/", body=b"x", certificate=with_)

            results = [await post(which) for which in (one, two, one, two)]
            assert [result.reused for result in results] == [False, False, True, True]
            assert not any(result.tls_resumed for result in results)
            serials = [x509.load_pem_x509_certificate(which.certificate.encode()).serial_number for which in (one, two)]
            assert shown == serials * 2
            # TLS 1.2 has no word for "I want one": the receiver says that it refused.
            wanted = "asks for a client certificate" if version is VERSIONS[1] else "refused the TLS handshake"
            with pytest.raises(TlsFailed, match=wanted) as caught:
                await post(None)
            assert caught.value.remote_address == "127.0.0.1"
            with pytest.raises(TlsFailed, match="does not accept our client certificate"):
                await post(pem(tmp_path / "three"))
            await client.close()


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    one, two = pem(tmp_path / "one"), pem(tmp_path / "two")
    one.check()
    key = serialization.load_pem_private_key(one.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    ).decode()
    broken = one.certificate[:200] + one.certificate[220:]
    for certificate_, key_, words in (
        (one.certificate, two.key, "does not belong"),
        ("", one.key, "not PEM"),
        (one.key, one.key, "not PEM"),
        (one.certificate, "", "not PEM"),
        (one.certificate, one.certificate, "not PEM"),
        (one.certificate, encrypted, "encrypted"),
        (broken, one.key, "cannot be read"),
        (one.certificate, one.key[:60] + one.key[80:], "cannot be read"),
        ("\udcff" + one.certificate, one.key, "cannot be read"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            ClientCertificate(certificate_, key_).check()
    assert one.key not in repr(one)


async def test_a_bad_client_certificate_is_an_error_of_the_request(tmp_path: Path) -> None:
    context, trust = certificate(tmp_path, ["receiver.test"])
    async with http_server(echo, context) as port, tls_client(trust) as client:
        with pytest.raises(InvalidRequest, match="not PEM"):
            await client.post(f"https://receiver.test:{port}/", body=b"x", certificate=ClientCertificate("", ""))
        assert (await client.post(f"https://receiver.test:{port}/", body=b"x")).status == 201


async def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    context, trust = certificate(tmp_path, ["other.test"])
    async with tls_client(trust) as client, http_server(echo, context) as port:
        with pytest.raises(TlsFailed, match="not trusted: Hostname mismatch"):
            await client.post(f"https://receiver.test:{port}/", body=b"x")
        for handler, words in ((garbage, "not TLS"), (hang_up, "closed during the TLS handshake")):
            async with RawServer(handler) as server:
                with pytest.raises(TlsFailed, match=words):
                    await client.post(f"https://receiver.test:{server.port}/", body=b"x")


async def test_a_request_given_up_during_the_handshake_leaves_nothing(tmp_path: Path) -> None:
    _, trust = certificate(tmp_path, ["receiver.test"])
    async with RawServer(hang) as server, tls_client(trust) as client:
        task = asyncio.create_task(client.post(f"https://receiver.test:{server.port}/", body=b"x"))
        while not server.connections:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while client.connections:
            await asyncio.sleep(0.01)
