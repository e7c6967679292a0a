"""`lanes`: what a message costs when mail waits in ten thousand lanes, and when it waits in ten."""

from __future__ import annotations

import time
from dataclasses import replace

import asyncpg

from bench.report import Result, median
from bench.world import ROOT, World
from penguinmails_core.config import ContentSettings, SenderSettings
from penguinmails_core.content.service import ContentService
from penguinmails_core.emails.lanes import LaneKey
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.lanes.policies import Policies, shipped
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.lanes.book import Limits
from penguinmails_sender.lanes.pools import Pools
from penguinmails_sender.transports import SimulatedTransport

FEW, MANY = 10, 10_000
MESSAGES = 10_000


async def lanes(world: World, rounds: int, seconds: float) -> list[Result]:
    """Every lane has a rate, so each claim locks and writes the lanes that it takes from; the rate is out of reach."""
    content = await ContentService.open(world.database, ContentSettings())
    base = shipped()
    google = replace(base.of("google"), per_second=1e9, connections=100_000)
    limits = Limits(Policies({**base.policies, "google": google}, base.rules), Pools())
    rates: dict[int, list[float]] = {FEW: [], MANY: []}
    for number in range(-1, rounds):
        for count, found in rates.items():
            await world.clean()
            await _fill(world, count)
            await world.analyze()
            transports = {"live": SimulatedTransport(), "test": SimulatedTransport()}
            engine = SenderEngine(
                world.database, content, transports, world.box, Doorbell(), SenderSettings(), "bench", limits=limits
            )
            # Lanes are written down once, when mail first waits in them.
            owner = world.tenant.organization_id
            await engine.book.know((owner, LaneKey(f"pool-{n}", "google")) for n in range(count))
            started = time.perf_counter()
            done = 0
            while done < MESSAGES:
                done += await engine.run_once()
            if number >= 0:
                found.append(done / (time.perf_counter() - started))
    await content.close()
    few, many = median(rates[FEW]), median(rates[MANY])
    return [Result("lanes", many / few, 0.8, 0.95, f"{many:.0f} msg/s in 10,000 lanes", f"{few:.0f} msg/s in 10 lanes")]


async def _fill(world: World, lanes: int) -> None:
    connection = await asyncpg.connect(world.dsn)
    try:
        fill = (ROOT / "bench" / "references" / "fill_lanes.sql").read_text()
        await connection.execute(fill, world.tenant.organization_id, MESSAGES, lanes)
    finally:
        await connection.close()
