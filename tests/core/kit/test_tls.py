"""What a look at TLS finds, of real servers with all kinds of certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.http_guard import ForbiddenAddress
from penguinmails_core.kit.tls import TlsFacts, look_at_tls
from tests.core.kit.http_world import RawServer, http_server


@dataclass(frozen=True)
class Party:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def issue(
    title: str, issuer: Party | None, *, ca: bool, names: tuple[str, ...] = (), days: tuple[int, int] = (-1, 90)
) -> Party:
    key, now = ec.generate_private_key(ec.SECP256R1()), utcnow()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.name if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return Party(name, key, builder.sign((issuer or Party(name, key, None)).key, hashes.SHA256()))  # type: ignore[arg-type]


def server_context(folder: Path, leaf: Party, *chain: Party) -> ssl.SSLContext:
    pem = folder / "server.pem"
    private = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown = [party.certificate.public_bytes(serialization.Encoding.PEM) for party in (leaf, *chain)]
    pem.write_bytes(private + b"".join(shown))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


ROOT = issue("Test root", None, ca=True)
MIDDLE = issue("Test intermediate", ROOT, ca=True)
NAMES = ("receiver.test",)
Made = Callable[[Path], ssl.SSLContext]
SERVERS: dict[str, tuple[Made, str | None, str]] = {
    "good": (lambda f: server_context(f, issue("a", MIDDLE, ca=False, names=NAMES), MIDDLE), None, ""),
    "expired": (
        lambda f: server_context(f, issue("a", ROOT, ca=False, names=NAMES, days=(-90, -3))),
        "certificate_expired",
        "expired on 20",
    ),
    "early": (
        lambda f: server_context(f, issue("a", ROOT, ca=False, names=NAMES, days=(2, 90))),
        "certificate_not_yet_valid",
        "not valid yet",
    ),
    "other name": (
        lambda f: server_context(f, issue("a", ROOT, ca=False, names=("other.test", "www.other.test"))),
        "certificate_wrong_name",
        "not for receiver.test; it is for other.test, www.other.test",
    ),
    "self-signed": (
        lambda f: server_context(f, issue("a", None, ca=False, names=NAMES)),
        "certificate_self_signed",
        "signed by itself",
    ),
    "incomplete": (
        lambda f: server_context(f, issue("a", MIDDLE, ca=False, names=NAMES)),
        "certificate_incomplete_chain",
        "CN=Test intermediate",
    ),
    "private authority": (
        lambda f: (lambda root: server_context(f, issue("a", root, ca=False, names=NAMES), root))(
            issue("Private", None, ca=True)
        ),
        "certificate_private_authority",
        "not publicly trusted",
    ),
}


async def _look(port: int) -> TlsFacts | None:
    pem = ROOT.certificate.public_bytes(serialization.Encoding.PEM).decode()
    context = ssl.create_default_context(cadata=pem)
    return await look_at_tls(["127.0.0.1"], port, "receiver.test", allow_private=True, context=context)


async def _never(request: web.Request) -> web.Response:
    raise AssertionError("no request is sent")


@pytest.mark.parametrize("name", SERVERS)
async def test_certificates(name: str, tmp_path: Path) -> None:
    make, code, words = SERVERS[name]
    async with http_server(_never, make(tmp_path)) as port:
        facts = await _look(port)
    assert facts is not None
    assert facts.certificate is not None
    assert (facts.version, facts.certificate.subject) == ("TLSv1.3", "CN=a")
    if code is None:
        assert facts.trusted
        assert facts.certificate.issuer == "CN=Test intermediate"
        return
    assert facts.problem is not None
    assert facts.problem[0] == code
    assert words in facts.problem[1]


async def test_no_tls_at_all() -> None:
    async with http_server(_never) as port:
        plain = await _look(port)
    assert plain is not None
    assert plain.problem == ("no_tls", "The server does not speak TLS on this port.")

    async def close(reader: object, writer: object) -> None:
        return None

    async with RawServer(close) as silent:
        closed = await _look(silent.port)
    assert closed is not None
    assert closed.problem is not None
    assert closed.version is None


async def test_where_it_does_not_go() -> None:
    with pytest.raises(ForbiddenAddress):
        await look_at_tls(["169.254.169.254"], 443, "x", allow_private=True, context=ssl.create_default_context())
    with pytest.raises(ForbiddenAddress):
        await look_at_tls(["8.8.8.8", "127.0.0.1"], 443, "x", allow_private=False, context=ssl.create_default_context())
