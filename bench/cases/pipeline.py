"""`send_rsa`, `flat_queue` and `end_to_end`: what happens behind the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from bench.cases.accept import ours_job
from bench.references import sender as reference
from bench.report import Result, median
from bench.world import HTML, ROOT, TEXT, World, start_process, stop_process
from penguinmails_core.config import ContentSettings, SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.domains.service import signing_keys
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_sender.dkim import DkimKey, sign
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.message import Mailbox, OutgoingMessage
from penguinmails_sender.mime import build
from penguinmails_sender.smtp import Envelope
from penguinmails_sender.transports import SimulatedTransport, SmtpTransport

TEN_MILLION_A_DAY = 116  # messages a second


@asynccontextmanager
async def sink(folder: Path) -> AsyncIterator[int]:
    import sys

    process = await start_process([sys.executable, "-m", "bench.sink"], {}, folder / "sink.log")
    try:
        assert process.stdout is not None
        yield int(await asyncio.wait_for(process.stdout.readline(), 30))
    finally:
        await stop_process(process)


async def send_rsa(world: World, rounds: int, seconds: float) -> list[Result]:
    """Build, sign with RSA-2048 and send to a sink; the reference does the same with what one finds first."""
    organization = world.tenant.organization_id
    keys = await signing_keys(world.database.worker, world.box, organization, "acme.test")
    rsa = next(key for key in keys if key.algorithm == "rsa-sha256")
    own = [DkimKey.from_private(rsa.private_key, rsa.selector, "acme.test")]
    private = load_der_private_key(rsa.private_key, None)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    ours: list[float] = []
    theirs: list[float] = []
    async with sink(world.folder) as port:
        transport = SmtpTransport("127.0.0.1", port, final=True, tls="off", max_connections=20)
        try:
            for number in range(-1, rounds):
                count = 4000 if number >= 0 else 200
                started = time.perf_counter()
                await _send_ours(transport, own, count)
                mine = count / (time.perf_counter() - started)
                few = max(20, count // 30)
                parts = [(f"ada-{i}@example.com", f"Invoice {i}", TEXT, HTML) for i in range(few)]
                started = time.perf_counter()
                await reference.send_all(port, parts, pem)
                other = few / (time.perf_counter() - started)
                if number >= 0:
                    ours.append(mine)
                    theirs.append(other)
        finally:
            await transport.aclose()
    a, b = median(ours), median(theirs)
    return [Result("send_rsa", a / b, 20, 27, f"{a:.0f} msg/s", f"{b:.0f} msg/s stdlib + dkimpy + aiosmtplib")]


async def _send_ours(transport: SmtpTransport, keys: list[DkimKey], count: int) -> None:
    gate = asyncio.Semaphore(40)

    async def one(number: int) -> None:
        async with gate:
            message = OutgoingMessage(
                message_id=f"m{number}@acme.test",
                date=datetime.now(UTC),
                from_=Mailbox("hello@acme.test", "Penguin"),
                to=(Mailbox(f"ada-{number}@example.com"),),
                subject=f"Invoice {number}",
                text=TEXT,
                html=HTML,
            )
            content = sign(build(message), keys)
            results = await transport.deliver(Envelope("bounces@acme.test", (f"ada-{number}@example.com",), content))
            if results[0].outcome != "delivered":
                raise RuntimeError(f"the sink refused a message: {results[0]}")

    await asyncio.gather(*[one(number) for number in range(count)])


async def flat_queue(world: World, rounds: int, seconds: float) -> list[Result]:
    """Claim and result of 1,000 messages while 10^3 or 10^5 wait: the cost must not grow with the queue."""
    content = await ContentService.open(world.database, ContentSettings())
    costs: dict[int, list[float]] = {1000: [], 100_000: []}
    transports = {"live": SimulatedTransport(), "test": SimulatedTransport()}
    settings = SenderSettings()
    for number in range(-1, rounds):
        for depth, found in costs.items():
            await world.clean()
            await _fill(world, depth)
            await world.analyze()
            bell = Doorbell()
            engine = SenderEngine(world.database, content, transports, world.box, bell, settings, "bench")
            started = time.perf_counter()
            done = 0
            while done < 1000:
                done += await engine.run_once()
            if number >= 0:
                found.append((time.perf_counter() - started) / done)
    few, many = median(costs[1000]), median(costs[100_000])
    detail = f"{many * 1e6:.0f} us a message with 100,000 waiting"
    return [Result("flat_queue", few / many, 0.85, 0.95, detail, f"{few * 1e6:.0f} us with 1,000 waiting")]


async def _fill(world: World, count: int) -> None:
    """Messages of test mode: no MIME and no SMTP, so that what is measured is the queue."""
    connection = await asyncpg.connect(world.dsn)
    try:
        await connection.execute(
            (ROOT / "bench" / "references" / "fill_queue.sql").read_text(),
            world.tenant.organization_id,
            count,
        )
    finally:
        await connection.close()


async def end_to_end(world: World, rounds: int, seconds: float) -> list[Result]:
    """From the first POST to the last delivered event: API, PostgreSQL, worker (two signatures a message) and sink
    share the cores with the client."""
    rates: list[float] = []
    async with sink(world.folder) as port:
        url = await world.serve()
        worker = await world.worker(port)
        try:
            await world.load(ours_job(world, url, "warm", 1))
            await _delivered(world)
            await world.clean()
            await world.analyze()
            for number in range(rounds):
                before = await _count(world)
                started = time.perf_counter()
                await world.load({**ours_job(world, url, f"e{number}", seconds), "connections": 16})
                total = await _delivered(world)
                rates.append((total - before) / (time.perf_counter() - started))
        finally:
            await stop_process(worker)
    rate = median(rates)
    return [Result("end_to_end", rate / TEN_MILLION_A_DAY, 5, 10, f"{rate:.0f} msg/s", f"{TEN_MILLION_A_DAY} msg/s")]


async def _count(world: World) -> int:
    count: int = await world.database.worker.fetchval("select count(*) from events where type = 'email.delivered'")
    return count


async def _delivered(world: World) -> int:
    """Wait until every accepted message has its delivered event; returns how many there are."""
    accepted = await world.database.worker.fetchval("select count(*) from email_messages")
    while (done := await _count(world)) < accepted:
        await asyncio.sleep(0.02)
        accepted = await world.database.worker.fetchval("select count(*) from email_messages")
    return done
