"""One client that calls one URL as fast as it can, in a process of its own: ours, or aiohttp as one uses it.

Reads a JSON job on standard input: `{"client": "ours" | "aiohttp", "url", "trust", "seconds", "concurrency"}`. Prints
`{"count", "seconds", "cpu"}`; any answer but 200 ends it with an error.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import uvloop

from penguinmails_core.kit.dns import StaticResolver
from penguinmails_core.kit.http import OutgoingHttp

BODY = b'{"type":"email.delivered","timestamp":"2026-11-24T12:00:00.000Z","data":{"text":"' + b"x" * 900 + b'"}}'
HEADERS = {
    "content-type": "application/json",
    "webhook-id": "evt_01jdkh0vq8e0r9x4s3b7c6a5zz",
    "webhook-timestamp": "1795521600",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
Post = Callable[[], Awaitable[int]]


@asynccontextmanager
async def ours(job: dict[str, Any]) -> AsyncIterator[Post]:
    """With every check: the name is looked up, its addresses are checked and remembered for a second."""
    trust = partial(ssl.create_default_context, cafile=job["trust"])
    limits = {"limit": job["concurrency"], "limit_per_host": job["concurrency"]}
    resolver = StaticResolver({"receiver.test": {"A": ["127.0.0.1"]}})
    async with OutgoingHttp(allow_private=True, resolver=resolver, trust=trust, **limits) as client:

        async def post() -> int:
            answer = await client.post(job["url"], body=BODY, headers=HEADERS, repeatable=True)
            return answer.status

        yield post


@asynccontextmanager
async def plain(job: dict[str, Any]) -> AsyncIterator[Post]:
    """One session, as its documentation advises, and no check of its own. By address, so that it has no name to ask."""
    context = ssl.create_default_context(cafile=job["trust"])
    connector = aiohttp.TCPConnector(limit=job["concurrency"], ssl=context)
    url = job["url"].replace("receiver.test", "127.0.0.1")
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=15)) as client:

        async def post() -> int:
            async with client.post(url, data=BODY, headers=HEADERS) as answer:
                await answer.read()
                return answer.status

        yield post


async def main() -> None:
    job = json.loads(sys.stdin.read())
    async with (ours if job["client"] == "ours" else plain)(job) as post:
        counts = [0] * job["concurrency"]

        async def one(number: int, until: float) -> None:
            while time.perf_counter() < until:
                if await post() != 200:
                    raise SystemExit("an answer other than 200")
                counts[number] += 1

        async def all_of_them(seconds: float) -> float:
            started = time.perf_counter()
            await asyncio.gather(*(one(number, started + seconds) for number in range(job["concurrency"])))
            return time.perf_counter() - started

        await all_of_them(0.3)  # connections, caches
        counts[:] = [0] * len(counts)
        before = time.process_time()
        seconds = await all_of_them(job["seconds"])
        print(json.dumps({"count": sum(counts), "seconds": seconds, "cpu": time.process_time() - before}))


if __name__ == "__main__":
    uvloop.run(main())
