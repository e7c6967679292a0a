"""Kill a webhook worker at a random instant, many times, while events flow; then count every delivery.

By hand: ``make webhookkills N=200`` (or ``python -m tests.crash.webhook_kills --rounds 200 --events 5000 --seed 7``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import asyncpg
from aiohttp import web
from redis.asyncio import Redis

from penguinmails_api.runtime.provision import Tenant, create_tenant
from penguinmails_api.runtime.secrets import local_keys, secret_box
from penguinmails_core.config import WebhookSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.migrations import migrate
from penguinmails_core.principal import Principal
from penguinmails_webhooks.endpoints import webhook_endpoints
from penguinmails_webhooks.signing import verify

WORKERS = 2
ENDPOINTS: dict[str, dict[str, Any]] = {
    "/plain": {},
    "/paced": {"throttle": {"limit": 2000, "per": "second"}, "concurrency": 8},
    "/flaky": {},
    "/order": {"fifo": "endpoint"},
    "/order-by-email": {"fifo": "email_id"},
}
EMAILS = 20
SETTLE_SECONDS = 600
_EVENT = (
    "insert into events (organization_id, workspace_id, id, type, mode, resource_id, sequence, payload) "
    "values ($1, $2, $3, 'email.queued', 'live', $3, 1, $4)"
)


@dataclass
class Report:
    """What there was at the end. `problems` is empty when every promise held."""

    rounds: int = 0
    seed: int = 0
    events: int = 0
    deliveries: int = 0
    requests: int = 0
    missing: int = 0
    repeats: int = 0
    strangers: int = 0
    out_of_order: int = 0
    invalid_signatures: int = 0
    unfinished: int = 0
    seconds: float = 0

    @property
    def problems(self) -> list[str]:
        wrong = {
            "deliveries that never arrived": self.missing,
            "requests with an id that is no event's": self.strangers,
            "events that overtook another of their key": self.out_of_order,
            "requests with a bad signature": self.invalid_signatures,
            "deliveries without an end": self.unfinished,
        }
        return [f"{count} {what}" for what, count in wrong.items() if count]

    def __str__(self) -> str:
        owed = f"{self.deliveries} deliveries: {self.events} events to {len(ENDPOINTS)} endpoints"
        return "\n".join(
            (
                f"rounds                {self.rounds} kills of workers (seed {self.seed}, {self.seconds:.0f} s)",
                f"owed                  {owed}",
                f"requests              {self.requests}, of them repeats with the same id {self.repeats}",
                f"never arrived         {self.missing}",
                f"overtook              {self.out_of_order} (two endpoints in strict order)",
                "verdict               " + ("; ".join(self.problems) or "every promise held"),
            )
        )


class Receiver:
    """Endpoints that verify and remember what they answered 2xx to, in that order. `/flaky` fails now and then."""

    def __init__(self, rng: random.Random) -> None:
        self.secrets: dict[str, str] = {}
        self.taken: defaultdict[str, list[str]] = defaultdict(list)
        self.requests = self.invalid = 0
        self._rng = rng
        app = web.Application()
        app.router.add_post("/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        self.url = ""

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests += 1
        try:
            verify([self.secrets[request.path]], headers, body)
        except Exception:
            self.invalid += 1
            return web.Response(status=400)
        if request.path == "/flaky" and self._rng.random() < 0.05:
            return web.Response(status=503)
        self.taken[request.path].append(headers["webhook-id"])
        return web.Response(status=204)


@dataclass
class KillWorld:
    """PostgreSQL, Valkey, a receiver and workers. ``async with KillWorld(rng) as world``."""

    rng: random.Random
    workers: list[int] = field(default_factory=list)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def _start(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="penguinmails-kills-"))
        folder.chmod(0o755)
        self._exit.callback(shutil.rmtree, folder, ignore_errors=True)
        # A killed process loses nothing that it handed to the kernel, so `fsync` has no part in this.
        stack = EmbeddedStack(folder / "stack", postgres_settings={"fsync": "off"})
        await asyncio.to_thread(stack.start)
        self._exit.push_async_callback(asyncio.to_thread, stack.stop)
        await migrate(stack.database_url)
        keys = local_keys(folder)
        database = await Database.open(stack.database_url, pool_size=1, ingest_connections=1, worker_connections=2)
        self._exit.push_async_callback(database.close)
        self.tenant = await create_tenant(database, secret_box(keys), "Acme", "acme.test")
        self.receiver = Receiver(self.rng)
        await self.receiver.start()
        self._exit.push_async_callback(self.receiver.stop)
        await _make_endpoints(database, secret_box(keys), self.tenant, self.receiver)
        self.connection = await asyncpg.connect(stack.database_url)
        self._exit.push_async_callback(self.connection.close)
        self.redis = Redis.from_url(stack.redis_url)
        self._exit.push_async_callback(self.redis.aclose)
        await self._open_nursery(stack, keys, folder / "nursery.log")

    async def _open_nursery(self, stack: EmbeddedStack, keys: str, log: Path) -> None:
        env = {"DATABASE_URL": stack.database_url, "REDIS_URL": stack.redis_url, "PENGUINMAILS_SECRET_KEYS": keys}
        with log.open("ab") as file:
            self.nursery = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.crash.webhook_nursery",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                env={**os.environ, **env},
            )
        assert self.nursery.stdin is not None
        settings = {"allow_private": True, "timeout": 1, "lease": "2s", "poll": "200ms", "retry_scale": 0.001}
        self.nursery.stdin.write(json.dumps(settings).encode() + b"\n")
        self._exit.push_async_callback(self._close_nursery)

    async def _close_nursery(self) -> None:
        assert self.nursery.stdin is not None
        self.nursery.stdin.close()
        await self.nursery.wait()

    async def spawn(self) -> None:
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(b"\n")
        self.workers.append(int(await self.nursery.stdout.readline()))

    def kill(self) -> None:
        os.kill(self.workers.pop(self.rng.randrange(len(self.workers))), signal.SIGKILL)

    async def happen(self, first: int, count: int) -> None:
        """So many events in one transaction."""
        rows = []
        for number in range(first, first + count):
            payload = {"email_id": f"msg_{self.rng.randrange(EMAILS)}", "number": number}
            rows.append((self.tenant.organization_id, self.tenant.workspace_id, new_uuid(), json.dumps(payload)))
        await self.connection.executemany(_EVENT, rows)
        await self.redis.publish("penguinmails:bell:events", b"")


async def _make_endpoints(database: Database, box: Any, tenant: Tenant, receiver: Receiver) -> None:
    service = webhook_endpoints(box, WebhookSettings(allow_private=True))
    principal = Principal(new_uuid(), tenant.organization_id, None, tenant.workspace_id, "live", frozenset())
    async with database.tenant(tenant.organization_id) as session:
        for path, pace in ENDPOINTS.items():
            made = await service.create(session, principal, url=receiver.url + path, events=["email.*"], pace=pace)
            receiver.secrets[path] = made[1] or ""


async def kills(rounds: int, events: int, seed: int, *, progress: bool = False) -> Report:
    rng = random.Random(seed)
    report = Report(rounds=rounds, seed=seed, events=events)
    started = time.monotonic()
    async with KillWorld(rng) as world:
        for _ in range(WORKERS):
            await world.spawn()
        made = 0
        for number in range(rounds):
            due = events * (number + 1) // rounds
            await world.happen(made, due - made)
            made = due
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            world.kill()
            await world.spawn()
            if progress:
                print(f"\r{number + 1}/{rounds} kills, {world.receiver.requests} requests", end="", file=sys.stderr)
        if progress:
            print("\rwaiting for every delivery to end …          ", file=sys.stderr)
        await _settle(world, report)
        await _count(world, report)
    report.seconds = time.monotonic() - started
    return report


async def _settle(world: KillWorld, report: Report) -> None:
    """Until every event is owed to everybody and nothing is owed any more, or the time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        total, owed = await world.connection.fetchrow(
            "select count(*), count(*) filter (where due_at is not null) from webhook_deliveries"
        )
        if total == report.events * len(ENDPOINTS) and not owed:
            return
        await asyncio.sleep(0.3)


async def _count(world: KillWorld, report: Report) -> None:
    rows = await world.connection.fetch(
        "select d.event_id, d.status, d.fifo_key, d.fifo_position, e.url from webhook_deliveries d "
        "join webhook_endpoints e on (e.organization_id, e.id) = (d.organization_id, d.endpoint_id)"
    )
    events = await world.connection.fetch("select id from events where type like 'email.%'")
    known = {_name(row["id"]) for row in events}
    receiver = world.receiver
    report.deliveries = len(rows)
    report.unfinished = sum(row["status"] != "delivered" for row in rows)
    report.requests, report.invalid_signatures = receiver.requests, receiver.invalid
    for path in ENDPOINTS:
        taken = Counter(receiver.taken[path])
        report.missing += len(known - taken.keys())
        report.strangers += len(taken.keys() - known)
        report.repeats += sum(count - 1 for count in taken.values())
    for path in ("/order", "/order-by-email"):
        places = {
            _name(row["event_id"]): (row["fifo_key"], row["fifo_position"]) for row in rows if row["url"].endswith(path)
        }
        report.out_of_order += _overtaken(receiver.taken[path], places)


def _overtaken(taken: list[str], places: dict[str, tuple[str, int]]) -> int:
    """How many events came, for the first time, after a later one of their key."""
    newest: dict[str, int] = {}
    wrong = 0
    for name in dict.fromkeys(taken):
        key, place = places[name]
        wrong += place < newest.get(key, -1)
        newest[key] = max(place, newest.get(key, -1))
    return wrong


def _name(event_id: UUID) -> str:
    return ids.encode("evt", event_id)


def main() -> None:
    parser = argparse.ArgumentParser(prog="webhook_kills", description="Kill webhook workers while events flow; count.")
    parser.add_argument("--rounds", type=int, default=200, help="how many kills (default 200)")
    parser.add_argument("--events", type=int, default=5000, help="how many events (default 5000)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's choices")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    report = asyncio.run(kills(options.rounds, options.events, seed, progress=sys.stderr.isatty()))
    print(report)
    raise SystemExit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
