"""`sender_vs_postfix`: from a queue on disk to the far side, signed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from bench.cases.accept import ours_job
from bench.references.postfix import Postfix, smtp_sink
from bench.report import Result, median
from bench.world import HTML, ROOT, TEXT, World, stop_process
from penguinmails_core.domains.service import signing_keys
from penguinmails_sender.message import Mailbox, OutgoingMessage
from penguinmails_sender.mime import build

WORKERS = 2  # Postfix has a process for each connection


async def sender_vs_postfix(world: World, rounds: int, seconds: float) -> list[Result]:
    """Ours claims from PostgreSQL, signs twice (RSA-2048 and Ed25519), finds the MX, sends and writes results and
    events, all with `fsync`; Postfix takes the mail by SMTP, has OpenDKIM sign it once, queues and sends it. Both send
    on at most twenty connections to the same `smtp-sink`."""
    keys = await signing_keys(world.database.worker, world.box, world.tenant.organization_id, "acme.test")
    rsa = next(key for key in keys if key.algorithm == "rsa-sha256")
    pem = load_der_private_key(rsa.private_key, None).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    url = await world.serve()
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="penguinmails-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "message").write_bytes(_message().replace(b"\r\n", b"\n"))
        async with smtp_sink() as port:
            postfix = Postfix(folder, port)
            postfix.prepare(pem)
            await postfix.start()
            try:
                for number in range(-1, rounds):
                    few = 50 if number < 0 else max(100, round(60 * seconds))
                    started = time.perf_counter()
                    await postfix.send(folder / "message", few)
                    other = few / (time.perf_counter() - started)
                    mine = await _ours(world, url, port, f"p{number}", 0.5 if number < 0 else seconds)
                    if number >= 0:
                        ours.append(mine)
                        theirs.append(other)
                if postfix.delivered() < 50 + rounds * max(100, round(60 * seconds)):
                    raise RuntimeError("Postfix did not deliver everything: " + postfix.log()[-1000:])
            finally:
                await postfix.stop()
    a, b = median(ours), median(theirs)
    return [Result("sender_vs_postfix", a / b, 10, 15, f"{a:.0f} msg/s", f"{b:.0f} msg/s Postfix + OpenDKIM")]


def _message() -> bytes:
    return build(
        OutgoingMessage(
            message_id="m1@acme.test",
            date=datetime.now(UTC),
            from_=Mailbox("hello@acme.test", "Acme"),
            to=(Mailbox("ada@example.com"),),
            subject="Invoice 1",
            text=TEXT,
            html=HTML,
        )
    )


async def _ours(world: World, url: str, port: int, run: str, seconds: float) -> float:
    """Messages a second, from a full queue to the last result on disk; the time to start is not counted."""
    await world.clean()
    await world.load({**ours_job(world, url, run, seconds), "connections": 16})
    # Nobody may begin before all are ready: what waits is due in the far future until then.
    await world.database.worker.execute("update email_recipients set due_at = now() + interval '1 day'")
    await world.analyze()
    waiting = await _count(world, "true")
    async with AsyncExitStack() as stack:
        for _ in range(WORKERS):
            await stack.enter_async_context(_worker(world, port))
        started = time.perf_counter()
        await world.database.worker.execute("update email_recipients set due_at = now()")
        while await _count(world, "status = 'delivered'") < waiting:
            await asyncio.sleep(0.02)
        return waiting / (time.perf_counter() - started)


async def _count(world: World, condition: str) -> int:
    count: int = await world.database.worker.fetchval(f"select count(*) from email_recipients where {condition}")
    return count


@asynccontextmanager
async def _worker(world: World, port: int) -> AsyncIterator[None]:
    with (world.folder / "direct.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "bench.direct_worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **world.env, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            cwd=ROOT,
        )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"port": port}).encode() + b"\n")
        if (await asyncio.wait_for(process.stdout.readline(), 60)).strip() != b"ready":
            raise RuntimeError("the sender did not start: " + (world.folder / "direct.log").read_text()[-2000:])
        yield
    finally:
        await stop_process(process)
