"""`outgoing_http`: our HTTP client, with all its checks, against plain aiohttp with kept connections."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.report import Result, median
from bench.world import ROOT, World, start_process, stop_process
from penguinmails_core.kit.clock import utcnow

CONCURRENCY = 32
CASES = (  # (name, TLS, path, floor, goal)
    ("outgoing_http", False, "/hook", 2.0, 3.0),
    ("outgoing_http_tls", True, "/hook", None, None),
    ("outgoing_http_tls_new", True, "/close", None, None),  # every request on a connection of its own
)


async def outgoing_http(world: World, rounds: int, seconds: float) -> list[Result]:
    """The same sink in a process of its own, the clients in turn, each in a fresh process."""
    results = []
    async with sink(world.folder) as (plain, tls, trust):
        for name, secure, path, floor, goal in CASES:
            url = f"https://receiver.test:{tls}{path}" if secure else f"http://receiver.test:{plain}{path}"
            rates: dict[str, list[float]] = {"ours": [], "aiohttp": []}
            cpu: dict[str, list[float]] = {"ours": [], "aiohttp": []}
            for number in range(rounds):
                for client in ("ours", "aiohttp") if number % 2 == 0 else ("aiohttp", "ours"):
                    found = await run_client(client, url, trust, seconds)
                    rates[client].append(found["count"] / found["seconds"])
                    cpu[client].append(found["cpu"] / found["count"] * 1e6)
            results.append(
                Result(
                    name,
                    median(rates["ours"]) / median(rates["aiohttp"]),
                    floor,
                    goal,
                    f"{median(rates['ours']):.0f}/s, {median(cpu['ours']):.0f} us CPU",
                    f"aiohttp {median(rates['aiohttp']):.0f}/s, {median(cpu['aiohttp']):.0f} us CPU",
                )
            )
    return results


async def run_client(client: str, url: str, trust: Path, seconds: float) -> dict[str, Any]:
    job = {"client": client, "url": url, "trust": str(trust), "seconds": seconds, "concurrency": CONCURRENCY}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.references.outgoing",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, _ = await process.communicate(json.dumps(job).encode())
    if process.returncode:
        raise RuntimeError(f"the client {client} failed ({process.returncode})")
    found: dict[str, Any] = json.loads(out)
    return found


@asynccontextmanager
async def sink(folder: Path) -> AsyncIterator[tuple[int, int, Path]]:
    """(plain port, TLS port, the certificate to trust)."""
    certificate, key = _certificate(folder)
    process = await start_process(
        [sys.executable, "-m", "bench.http_sink", str(certificate), str(key)], {}, folder / "http_sink.log"
    )
    try:
        assert process.stdout is not None
        plain, tls = (await asyncio.wait_for(process.stdout.readline(), 30)).split()
        yield int(plain), int(tls), certificate
    finally:
        await stop_process(process)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """RSA-2048, as most receivers have."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    names = [x509.DNSName("receiver.test"), x509.IPAddress(ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utcnow() - timedelta(days=1))
        .not_valid_after(utcnow() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "sink.pem", folder / "sink.key"
    paths[0].write_bytes(signed.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
