"""What the cases share: real servers with `fsync` on, our API and worker as separate processes, the references."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from penguinmails_api.runtime.provision import Tenant, create_tenant
from penguinmails_api.runtime.secrets import local_keys, secret_box
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_core.migrations import migrate
from penguinmails_core.register import tables

ROOT = Path(__file__).parent.parent
TEXT = "Hello Ada,\n\nyour invoice @N@ is ready. It covers the month of October and is due in two weeks.\n\nThe team\n"
HTML = (
    "<!doctype html><html><body><h1>Invoice @N@</h1><p>Hello Ada,</p><p>your invoice is ready. It covers the month of "
    "October and is due in two weeks.</p><p><a href='https://example.com/invoices/@N@'>Open the invoice</a></p>"
    "<p>The team</p></body></html>"
)


def message(sender: str) -> dict[str, Any]:
    """A usual transactional message of about 0.9 KB; `@N@` differs in each."""
    return {
        "from": f"Acme <{sender}>",
        "to": ["ada-@N@@example.com"],
        "subject": "Invoice @N@",
        "text": TEXT,
        "html": HTML,
        "tags": ["invoice"],
        "metadata": {"invoice": "@N@"},
    }


async def start_process(command: list[str], env: dict[str, str], log: Path) -> asyncio.subprocess.Process:
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=file, env={**os.environ, **env}, cwd=ROOT
        )


async def stop_process(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass
class World:
    folder: Path
    stack: EmbeddedStack
    tenant: Tenant
    box: SecretBox
    keys: str
    env: dict[str, str]
    database: Database
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)
    _servers: dict[str, int] = field(default_factory=dict)

    @property
    def dsn(self) -> str:
        return self.stack.database_url

    async def serve(self, **env: str) -> str:
        """Our API as a process of its own; returns its URL."""
        command = [sys.executable, "-P", "-m", "penguinmails_api.cli", "serve", "--port", "0"]
        process = await start_process(command, {**self.env, **env}, self.folder / "serve.log")
        self._exit.push_async_callback(stop_process, process)
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        if not url.startswith("http"):
            raise RuntimeError("the API did not start: " + (self.folder / "serve.log").read_text()[-2000:])
        self._servers[url] = process.pid
        return url

    def cpu_seconds(self, url: str) -> float:
        """Processor time that the API at `url` has used, user and system (proc(5))."""
        fields = Path(f"/proc/{self._servers[url]}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def worker(self, smtp_port: int, **env: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-P", "-m", "penguinmails_api.cli", "worker"]
        settings = {
            "PENGUINMAILS_SENDER_HOST": "127.0.0.1",
            "PENGUINMAILS_SENDER_PORT": str(smtp_port),
            "PENGUINMAILS_SENDER_TLS": "off",
        }
        process = await start_process(command, {**self.env, **settings, **env}, self.folder / "worker.log")
        assert process.stdout is not None
        if (await asyncio.wait_for(process.stdout.readline(), 60)).strip() != b"ready":
            raise RuntimeError("the worker did not start: " + (self.folder / "worker.log").read_text()[-2000:])
        return process

    async def textbook(self, *, full: bool = False) -> str:
        """The reference endpoint, served by the same server software with the same number of processes."""
        port = _free_port()
        env = {
            "TEXTBOOK_DATABASE_URL": self.dsn.replace("postgresql://", "postgresql+asyncpg://"),
            "TEXTBOOK_REDIS_URL": self.stack.redis_url,
        }
        command = [sys.executable, "-m", "uvicorn", "bench.references.textbook:app", "--port", str(port)]
        command += ["--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
        process = await start_process(command, env, self.folder / "textbook.log")
        self._exit.push_async_callback(stop_process, process)
        for _ in range(300):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return f"http://127.0.0.1:{port}/" + ("full" if full else "emails")
            await asyncio.sleep(0.1)
        raise RuntimeError("the reference did not start: " + (self.folder / "textbook.log").read_text()[-2000:])

    async def load(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one load job in its own process."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(ROOT / "bench" / "load.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(json.dumps(job).encode())
        if process.returncode:
            raise RuntimeError(f"the load generator failed ({process.returncode})")
        result: dict[str, Any] = json.loads(out)
        if result["errors"]:
            raise RuntimeError(f"answers other than 202: {result['errors']} of {result['count']}")
        return result

    async def pgbench(self, script: str, *, clients: int, seconds: int) -> float:
        """Transactions a second of a pgbench script."""
        path = self.folder / "script.sql"
        path.write_text(script)
        process = await asyncio.create_subprocess_exec(
            str(self.stack.postgres.bin_dir / "pgbench"),
            "-n",
            "-M",
            "prepared",
            "-c",
            str(clients),
            "-j",
            "2",
            "-T",
            str(seconds),
            "-f",
            str(path),
            self.dsn,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        for line in out.decode().splitlines():
            if line.startswith("tps ="):
                return float(line.split()[2])
        raise RuntimeError(f"pgbench said: {error.decode()[-500:]}")

    async def clean(self) -> None:
        """Empty the mail tables and let the planner see real sizes: plans made on empty tables are slow for ever."""
        keep = {
            "organizations",
            "workspaces",
            "api_keys",
            "domains",
            "domain_keys",
            "consumer_cursors",
            "users",
            "members",
        }
        keep |= {name for name, facts in tables().items() if facts.seeded}
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("truncate " + ", ".join(set(tables()) - keep) + " cascade")
        finally:
            await connection.close()

    async def analyze(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("analyze")
        finally:
            await connection.close()

    async def redis(self) -> Redis:
        return Redis.from_url(self.stack.redis_url)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _make_plan(dsn: str) -> None:
    """A plan with every limit, each too high to be reached: the cost of limits is part of what is measured."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "insert into plans (code, name, api_requests_per_second, api_requests_per_minute, api_burst, "
            "api_requests_per_day, emails_per_second, max_emails_per_day, max_emails_per_month) "
            "select 'bench', 'Bench', n, n, n, n, n, n, n from (select 1000000000) as v (n)"
        )
    finally:
        await connection.close()


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="penguinmails-bench-"))
    folder.chmod(0o755)
    stack = EmbeddedStack(folder / "stack")
    try:
        await asyncio.to_thread(stack.start)
        await migrate(stack.database_url)
        await _make_plan(stack.database_url)
        keys = local_keys(folder)
        box = secret_box(keys)
        database = await Database.open(stack.database_url, pool_size=2)
        tenant = await create_tenant(database, box, "Bench", "acme.test")
        env = {
            "DATABASE_URL": stack.database_url,
            "REDIS_URL": stack.redis_url,
            "PENGUINMAILS_SECRET_KEYS": keys,
            "PENGUINMAILS_API_DEFAULT_PLAN": "bench",
        }
        world = World(folder, stack, tenant, box, keys, env, database)
        try:
            yield world
        finally:
            await world._exit.aclose()
            await database.close()
    finally:
        await asyncio.to_thread(stack.stop)
        shutil.rmtree(folder, ignore_errors=True)
