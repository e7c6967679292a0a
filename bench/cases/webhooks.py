"""`webhook_dispatch`, `webhook_e2e_p95`, `webhook_isolation`, `webhook_backlog`: events on their way to receivers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from bench import webhook_world as webhooks
from bench.references import webhooks as reference
from bench.report import Result, median
from bench.webhook_world import Sink
from bench.world import ROOT, World
from penguinmails_core.kit.ids import Prefix, encode, new_uuid

_ENDPOINTS = 16
_CONCURRENCY = 64  # of the reference


class Worker:
    """The delivery engine in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def stats(self) -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        found: dict[str, float] = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60))
        return found


@asynccontextmanager
async def open_worker(world: World, **settings: Any) -> AsyncIterator[Worker]:
    with (world.folder / "webhook_worker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.webhook_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **world.env},
            cwd=ROOT,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"allow_private": True, **settings}).encode() + b"\n")
        if (await asyncio.wait_for(process.stdout.readline(), 60)).strip() != b"ready":
            raise RuntimeError((world.folder / "webhook_worker.log").read_text()[-2000:])
        yield Worker(process)
    finally:
        process.stdin.close()
        await process.wait()


async def dispatch(world: World, rounds: int, seconds: float) -> list[Result]:
    """Claim, render, sign, send, judge and write down, against aiohttp that only sends. Fan-out was done before."""
    each = int(1000 * seconds / 4)
    ours, plain, textbook, cpu = [], [], [], []
    async with webhooks.open_sink(world) as sink:
        for number in range(-1, rounds):
            rate, used = await _drain(world, sink, [f"ok/{place}" for place in range(_ENDPOINTS)], each)
            bare = await reference.plain(sink.url("plain"), 4 * each, _CONCURRENCY)
            book = await reference.textbook(world.dsn, sink.url("book"), max(each // 4, 100), 16)
            if number >= 0:
                ours.append(rate)
                plain.append(bare)
                textbook.append(book)
                cpu.append(used)
    rate, bare = median(ours), median(plain)
    detail = f"{rate:.0f}/s, {median(cpu) * 1e6:.0f} us CPU of the worker each"
    return [
        Result(
            "webhook_dispatch", rate / median(plain), 1.5, 2.5, detail, f"{median(plain):.0f}/s aiohttp, only sending"
        ),
        Result(
            "webhook_dispatch_textbook",
            rate / median(textbook),
            None,
            None,
            f"{rate:.0f}/s",
            f"{median(textbook):.0f}/s SQLAlchemy and aiohttp, one row and one commit each",
        ),
    ]


async def _drain(world: World, sink: Sink, paths: Sequence[str], each: int) -> tuple[float, float]:
    """(deliveries a second, processor seconds of the worker for each) of a backlog at endpoints that answer at once."""
    await webhooks.clear(world)
    organizations = await webhooks.make_endpoints(world, [sink.url(path) for path in paths])
    await webhooks.make_events(world, organizations, each)
    total = await webhooks.fan_out(world)
    await world.analyze()
    async with open_worker(world) as worker:
        before = await worker.stats()
        started = time.perf_counter()
        start = int(before["delivered"])
        while (found := await worker.stats())["delivered"] < total:
            await asyncio.sleep(0.02)
        elapsed = time.perf_counter() - started
        return (total - start) / elapsed, (found["cpu"] - before["cpu"]) / (total - start)


async def end_to_end(world: World, rounds: int, seconds: float) -> list[Result]:
    """From the commit of an event to its arrival, fan-out included, at half of what the engine can do. Nobody rings: a
    bell would only make it faster than the 100 ms at which the worker looks."""
    async with webhooks.open_sink(world) as sink:
        paths = [f"ok/{place}" for place in range(_ENDPOINTS)]
        rate, _ = await _drain(world, sink, paths, int(1000 * seconds / 4))
        await webhooks.clear(world)
        organizations = await webhooks.make_endpoints(world, [sink.url(path) for path in paths])
        async with open_worker(world, poll=0.1):
            await sink.arrivals()
            await _feed(world, organizations, rate / 4, 2)  # warm
            await asyncio.sleep(1)
            await sink.arrivals()
            waits = []
            for _ in range(rounds):
                committed = await _feed(world, organizations, rate / 2, seconds)
                arrived: dict[str, float] = {}
                for _ in range(600):
                    arrived |= dict(reversed(await sink.arrivals()))
                    if committed.keys() <= arrived.keys():
                        break
                    await asyncio.sleep(0.1)
                waits += [arrived[name] - at for name, at in committed.items()]
    ordered = sorted(waits)
    p50, p95, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95, 0.99))
    ours = f"p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms at {rate / 2:.0f}/s"
    return [Result("webhook_e2e_p95", 1 / p95, 2, 10, ours, "1000 ms")]


async def _feed(world: World, organizations: Sequence[UUID], rate: float, seconds: float) -> dict[str, float]:
    """Events at a fixed rate, in transactions of a few; id -> when it was committed (monotonic seconds)."""
    connection = await asyncpg.connect(world.dsn)
    committed: dict[str, float] = {}
    started, made, total = time.monotonic(), 0, int(rate * seconds)
    try:
        while made < total:
            due = min(int((time.monotonic() - started) * rate), total)
            if due > made:
                batch = [
                    (organizations[number % len(organizations)], new_uuid(), new_uuid()) for number in range(made, due)
                ]
                await connection.executemany(_EVENT, batch)
                now = time.monotonic()
                committed |= {encode(Prefix.EVENT, event): now for _, event, _ in batch}
                made = due
            await asyncio.sleep(0.005)
    finally:
        await connection.close()
    return committed


_EVENT = (
    "insert into events (organization_id, id, type, mode, resource_id, sequence, payload) values ($1, $2, "
    """'email.delivered', 'live', $3, 1, '{"email_id": "msg_01k5w8m3xjf2r9v0q4tz7h6cde", "subject": "Hello"}')"""
)


async def isolation(world: World, rounds: int, seconds: float) -> list[Result]:
    """18 endpoints that answer, with and without two beside them that take every request and never answer."""
    each = int(500 * seconds / 4)
    rates: dict[int, list[float]] = {0: [], 2: []}
    async with webhooks.open_sink(world) as sink:
        for number in range(-1, rounds):
            for hanging in (0, 2) if number % 2 else (2, 0):
                rate = await _beside(world, sink, 18, hanging, each)
                if number >= 0:
                    rates[hanging].append(rate)
    alone, beside = median(rates[0]), median(rates[2])
    ours = f"{beside:.0f}/s beside 10 % that hang"
    return [Result("webhook_isolation", beside / alone, 0.9, 0.98, ours, f"{alone:.0f}/s without them")]


async def _beside(world: World, sink: Sink, healthy: int, hanging: int, each: int) -> float:
    await webhooks.clear(world)
    urls = [sink.url(f"hang/{place}") for place in range(hanging)] + [sink.url(f"ok/{n}") for n in range(healthy)]
    organizations = await webhooks.make_endpoints(world, urls)
    await webhooks.make_events(world, organizations, each)
    await webhooks.fan_out(world)
    await world.analyze()
    before = await sink.count()
    async with open_worker(world):
        started = time.perf_counter()
        while await sink.count() - before < healthy * each:
            await asyncio.sleep(0.01)
        return healthy * each / (time.perf_counter() - started)


async def backlog(world: World, rounds: int, seconds: float) -> list[Result]:
    """One tenant with 1,000,000 deliveries that wait, in 100 endpoints that answer: what its worker needs of memory and
    of processor time, and how long the fresh event of another tenant takes meanwhile."""
    few = await _with_backlog(world, 1_000)
    many = await _with_backlog(world, 1_000_000)
    grown = many["rss"] - few["rss"]
    return [
        Result(
            "webhook_backlog_delay",
            2 / many["delay"],
            1,
            10,
            f"{many['delay'] * 1000:.0f} ms at most, behind 1,000,000 of another tenant",
            "2000 ms",
        ),
        Result(
            "webhook_backlog_memory",
            few["rss"] / many["rss"],
            0.8,
            0.95,
            f"{many['rss'] / 1e6:.0f} MB with 1,000,000 waiting ({grown / 1e6:+.0f})",
            f"{few['rss'] / 1e6:.0f} MB with 1,000",
        ),
        Result(
            "webhook_backlog_claim",
            few["claim"] / many["claim"],
            0.5,
            0.9,
            f"{many['claim'] * 1000:.1f} ms to claim 100 of 1,000,000",
            f"{few['claim'] * 1000:.1f} ms of 1,000",
        ),
    ]


async def _with_backlog(world: World, waiting: int) -> dict[str, float]:
    """`delay`: the longest of 20 fresh events; `rss`: of the worker after them; `claim`: seconds for 100 deliveries."""
    await webhooks.clear(world)
    async with webhooks.open_sink(world) as sink:
        endpoints = min(100, waiting // 10)
        tenant = (await webhooks.make_endpoints(world, [sink.url("busy/0")]))[0]
        urls = [sink.url(f"busy/{number}") for number in range(1, endpoints)]
        await webhooks.make_endpoints(world, urls, organization=tenant)
        await webhooks.make_events(world, [tenant], waiting // endpoints)
        made = await webhooks.fan_out(world)
        if made != waiting:
            raise RuntimeError(f"{made} deliveries instead of {waiting}")
        [fresh] = await webhooks.make_endpoints(world, [sink.url("fresh")])
        await world.analyze()
        claim = await webhooks.claim_cost(world, rounds=20, size=100)
        async with open_worker(world, poll=0.2) as worker:
            await sink.arrivals()
            await asyncio.sleep(1)
            delays = []
            for _ in range(20):
                committed = await _feed(world, [fresh], 100, 0.01)
                [(name, at)] = committed.items()
                while name not in (arrived := dict(await sink.arrivals())):
                    await asyncio.sleep(0.02)
                delays.append(arrived[name] - at)
            found = await worker.stats()
    return {"delay": max(delays), "rss": found["rss"], "claim": claim}
