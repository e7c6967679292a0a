"""`limits`: what it costs to hold an organization to its plan, in processor time for one accepted message."""

from __future__ import annotations

import asyncio
import urllib.request

from bench.cases.accept import ours_job
from bench.report import Result, median
from bench.world import World

FLOOR = 0.85  # limits may add at most 15 % of processor time


def _policies(url: str, key: str) -> str:
    request = urllib.request.Request(url + "/v1/me", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as answer:
        found: str = answer.headers["ratelimit-policy"]
    return found


async def limits(world: World, rounds: int, seconds: float) -> list[Result]:
    """The same server twice over one database: once without limits, once with six of them, all in Redis. The order
    turns with every round, so that neither has the colder caches or the larger tables."""
    free = await world.serve(PENGUINMAILS_API_DEFAULT_PLAN="self_hosted")
    limited = await world.serve()
    await world.clean()
    for url, names in ((free, 2), (limited, 8)):
        policies = await asyncio.to_thread(_policies, url, world.tenant.api_key)
        if policies.count(";q=") != names:
            raise RuntimeError(f"other limits than expected: {policies}")
    for url in (free, limited):
        await world.load(ours_job(world, url, "warm", 1))
    await world.analyze()
    cpu: dict[str, list[float]] = {free: [], limited: []}
    for number in range(rounds):
        for url in (free, limited) if number % 2 == 0 else (limited, free):
            before = world.cpu_seconds(url)
            result = await world.load(ours_job(world, url, f"r{number}{url[-5:]}", seconds))
            cpu[url].append((world.cpu_seconds(url) - before) / result["count"] * 1e6)
    without, with_ = median(cpu[free]), median(cpu[limited])
    return [
        Result(
            "limits", without / with_, FLOOR, 0.95, f"{with_:.0f} us CPU a request", f"{without:.0f} us without limits"
        )
    ]
