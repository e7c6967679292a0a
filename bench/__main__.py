"""`python -m bench [CASE ...]`: prints `NAME ratio=R floor=F ok|short` lines and a table."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop
from rich.console import Console

from bench.cases import accept, dkim, lanes, limits, outgoing, pipeline, postfix, webhooks
from bench.report import Result, table
from bench.world import World, open_world

Case = Callable[[World, int, float], Awaitable[list[Result]]]
CASES: dict[str, Case] = {
    "accept": accept.accept,
    "batch100": accept.batch100,
    "limits": limits.limits,
    "dkim": dkim.dkim,
    "send_rsa": pipeline.send_rsa,
    "sender_vs_postfix": postfix.sender_vs_postfix,
    "flat_queue": pipeline.flat_queue,
    "lanes": lanes.lanes,
    "end_to_end": pipeline.end_to_end,
    "outgoing_http": outgoing.outgoing_http,
    "webhook_dispatch": webhooks.dispatch,
    "webhook_e2e": webhooks.end_to_end,
    "webhook_isolation": webhooks.isolation,
    "webhook_backlog": webhooks.backlog,
}


async def run(names: list[str], rounds: int, seconds: float) -> list[Result]:
    results: list[Result] = []
    console = Console(stderr=True)
    for name in names:
        # Each case has a fresh world: no case pays for the rows of another.
        with console.status(f"{name} …") if console.is_terminal else _Quiet(name):
            async with open_world() as world:
                found = await CASES[name](world, rounds, seconds)
        for result in found:
            print(result.line(), flush=True)
        results += found
    return results


class _Quiet:
    def __init__(self, name: str) -> None:
        print(f"{name} …", file=sys.stderr, flush=True)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description="Ratios against references, interleaved in one run.")
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help="which cases; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; the median counts (default 3)")
    parser.add_argument("--seconds", type=float, default=4, help="seconds a measurement (default 4)")
    options = parser.parse_args()
    results = uvloop.run(run(options.case or list(CASES), options.rounds, options.seconds))
    print("\n" + table(results))
    asyncio.set_event_loop(None)


if __name__ == "__main__":
    main()
