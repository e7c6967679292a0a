"""API, worker, PostgreSQL and Valkey as processes that can be killed, with an SMTP sink and a webhook receiver that
survive them and count."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, suppress
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from penguinmails_api.runtime.provision import Tenant, create_tenant
from penguinmails_api.runtime.secrets import local_keys, secret_box
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.db import Database
from penguinmails_core.migrations import migrate
from penguinmails_sender.smtpd.received import Received
from penguinmails_sender.smtpd.server import SmtpServer
from penguinmails_webhooks.signing import verify

LEASE_SECONDS = 1.5


class Sink:
    """Counts what arrives, by Message-ID."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        self.server = SmtpServer(self._take)

    def _take(self, received: Received) -> None:
        headers = BytesHeaderParser().parsebytes(received.raw.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n")
        self.copies[headers["Message-ID"].strip("<>").partition("@")[0]] += 1


class Receiver:
    """A customer's webhook endpoint: verifies, and remembers every event id."""

    def __init__(self) -> None:
        self.secret = ""
        self.seen: Counter[str] = Counter()
        self.types: dict[str, str] = {}
        self.by_email: defaultdict[str, set[str]] = defaultdict(set)
        self.invalid = 0
        self.hold: asyncio.Event | None = None
        self.called = asyncio.Event()
        app = web.Application()
        app.router.add_post("/", self._receive)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        self.url = ""

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            verify([self.secret], headers, body)
        except Exception:
            self.invalid += 1
            return web.Response(status=400)
        event = json.loads(body)
        assert headers["webhook-id"] == event["id"]
        self.called.set()
        if self.hold is not None:
            await self.hold.wait()
        self.seen[event["id"]] += 1
        self.types[event["id"]] = event["type"]
        self.by_email[event["data"].get("email_id", "")].add(event["type"])
        return web.Response(status=204)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        if self.hold is not None:
            self.hold.set()
        await self._runner.cleanup()


class Child:
    """One of our processes; `kill` is SIGKILL."""

    def __init__(self, name: str, arguments: list[str], env: dict[str, str], log: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-P", "-m", "penguinmails_api.cli", *arguments]
        self._env = {**os.environ, **env}
        self._log = log
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, wait: bool = True) -> None:
        with self._log.open("ab") as file:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdout=asyncio.subprocess.PIPE, stderr=file, env=self._env
            )
        if wait:
            await self.ready()

    async def ready(self) -> None:
        """Wait for the line that says it works; start again when it dies first (the database went away again)."""
        for _ in range(10):
            process = self.process
            assert process is not None
            assert process.stdout is not None
            if await process.stdout.readline():
                return
            await process.wait()
            if process is self.process:
                await self.start(wait=False)
        raise RuntimeError(f"{self.name} does not start:\n" + self._log.read_text()[-3000:])

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 15)
            except TimeoutError:
                await self.kill()


class CrashWorld:
    """``async with CrashWorld() as world``: everything runs but the worker (start it with ``world.worker.start()``)."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="penguinmails-crash-"))
        self.folder.chmod(0o755)
        # A killed process loses nothing that it handed to the kernel, so `fsync` has no part in these tests.
        self.stack = EmbeddedStack(self.folder / "stack", postgres_settings={"fsync": "off"})
        self.sink = Sink()
        self.receiver = Receiver()
        self.tenant: Tenant
        self.database: Database
        self.api: Child
        self.worker: Child
        self.base_url = ""
        self.http: aiohttp.ClientSession
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    async def _start(self) -> None:
        self._exit.callback(shutil.rmtree, self.folder, ignore_errors=True)
        await asyncio.to_thread(self.stack.start)
        self._exit.push_async_callback(asyncio.to_thread, self.stack.stop)
        await migrate(self.stack.database_url)
        keys = local_keys(self.folder)
        await self.sink.server.start()
        self._exit.push_async_callback(self.sink.server.stop)
        await self.receiver.start()
        self._exit.push_async_callback(self.receiver.stop)
        self.database = await Database.open(
            self.stack.database_url, pool_size=1, ingest_connections=1, worker_connections=2
        )
        self._exit.push_async_callback(self.database.close)
        self.tenant = await create_tenant(self.database, secret_box(keys), "Acme", "acme.test")
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        env = {
            "DATABASE_URL": self.stack.database_url,
            "REDIS_URL": self.stack.redis_url,
            "PENGUINMAILS_SECRET_KEYS": keys,
            "PENGUINMAILS_WEBHOOK_ALLOW_PRIVATE": "true",
            "PENGUINMAILS_WEBHOOK_LEASE": f"{LEASE_SECONDS}s",
            "PENGUINMAILS_WEBHOOK_TIMEOUT": "3",
            "PENGUINMAILS_WEBHOOK_RETRY_SCALE": "0.05",
            "PENGUINMAILS_WEBHOOK_POLL": "200ms",
            "PENGUINMAILS_SENDER_HOST": "127.0.0.1",
            "PENGUINMAILS_SENDER_PORT": str(self.sink.server.port),
            "PENGUINMAILS_SENDER_TLS": "off",
            "PENGUINMAILS_SENDER_LEASE": f"{LEASE_SECONDS}s",
            "PENGUINMAILS_SENDER_RETRY_BASE": "300ms",
            "PENGUINMAILS_SENDER_POLL": "200ms",
            "PENGUINMAILS_SENDER_CLAIM_SIZE": "20",
        }
        self.api = Child("API", ["serve", "--port", str(port)], env, self.folder / "api.log")
        self.worker = Child("worker", ["worker"], env, self.folder / "worker.log")
        self._exit.push_async_callback(self.worker.stop)
        self._exit.push_async_callback(self.api.stop)
        await self.api.start()
        headers = {"Authorization": f"Bearer {self.tenant.api_key}"}
        timeout = aiohttp.ClientTimeout(total=5)
        self.http = aiohttp.ClientSession(self.base_url, headers=headers, timeout=timeout)
        self._exit.push_async_callback(self.http.close)
        answer = await self.post("/v1/webhook_endpoints", {"url": self.receiver.url, "events": ["email.*"]}, "endpoint")
        self.receiver.secret = answer["secret"]

    async def post(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """POST until it is answered, with one Idempotency-Key: what a careful client does."""
        while True:
            try:
                async with self.http.post(path, json=body, headers={"Idempotency-Key": key}) as answer:
                    document: dict[str, Any] = await answer.json()
                    if answer.status in (200, 201, 202):
                        return document
                    if answer.status not in (409, 500, 503):
                        raise AssertionError(f"{answer.status}: {document}")
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.1)

    def email(self, number: int | str, message_class: str) -> dict[str, Any]:
        return {
            "from": self.tenant.sender,
            "to": [f"user-{number}@example.com"],
            "subject": f"Message {number}",
            "text": f"This is message {number}.",
            "class": message_class,
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
