"""For the outgoing client: servers on loopback, some of which break the rules, certificates and resolvers."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, StaticResolver

WORLD = StaticResolver(
    {
        "receiver.test": {"A": ["127.0.0.1"]},
        "both.test": {"A": ["8.8.8.8", "127.0.0.1"]},
        "mapped.test": {"AAAA": ["::ffff:127.0.0.1"]},
        "nat64.test": {"AAAA": ["64:ff9b::7f00:1"]},
        "metadata.test": {"A": ["169.254.169.254"]},
        "unspecified.test": {"A": ["0.0.0.0"]},
        "zone.test": {"AAAA": ["fe80::1%lo"]},
        "garbage.test": {"A": ["receiver.test"]},
        "empty.test": {"A": []},
        "broken.test": {"A": DnsUnavailable("broken.test", "SERVFAIL")},
        "gone.test": {"A": NameNotFound("gone.test", "the name does not exist")},
    }
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def http_server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A web server on 127.0.0.1; gives its port."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    seen = {"x-seen-" + name.lower(): value for name, value in request.headers.items()}
    seen["x-seen-url"] = str(request.rel_url)
    response = web.Response(status=201, body=await request.read(), headers=seen)
    response.set_cookie("session", "1")
    return response


class RawServer:
    """A TCP server on 127.0.0.1 that does exactly what its handler does. Counts connections and failures to write."""

    def __init__(self, handler: RawHandler) -> None:
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.hung_up = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body; raises IncompleteReadError when the client has gone."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")), 0
    )
    return head + await reader.readexactly(length)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


class ScriptedResolver:
    """Gives the next answer of its script for each look-up, the last one for ever, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer if isinstance(answer, list) else list(answer)


class HangingResolver:
    async def addresses(self, host: str) -> list[str]:
        await asyncio.Event().wait()
        return []


def certificate(folder: Path, names: Iterable[str], subject_name: str = "test") -> tuple[ssl.SSLContext, Path]:
    """(a server's context with a self-signed certificate for `names`, the file to trust it with)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject_name)])
    kinds: list[x509.GeneralName] = []
    for name in names:
        try:
            kinds.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            kinds.append(x509.DNSName(name))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utcnow() - timedelta(days=1))
        .not_valid_after(utcnow() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(kinds), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
