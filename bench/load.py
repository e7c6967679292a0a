"""The load generator: raw HTTP/1.1 over kept connections, in a process of its own.

httpx or aiohttp would measure themselves. Each connection sends its next request when the answer to the last is in
(closed loop), or requests leave on a fixed schedule whatever the answers do (open loop): only the latter shows the
latency that users feel, since waiting requests are counted from the moment they were due.

Reads a JSON job on standard input, prints a JSON result.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop


def make_requests(job: dict[str, Any]) -> Callable[[int], bytes]:
    """A function that makes the n-th request; bodies and keys differ in every one."""
    parts = urlsplit(job["url"])
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    for name, value in job.get("headers", {}).items():
        head += f"{name}: {value}\r\n"
    body: str = job["body"]
    key = job.get("idempotency", False)
    run = job["run"]

    def request(n: int) -> bytes:
        payload = body.replace("@N@", f"{run}-{n}").encode()
        extra = f"idempotency-key: {run}-{n}\r\n" if key else ""
        return f"{head}{extra}content-length: {len(payload)}\r\n\r\n".encode() + payload

    return request


class Connection(asyncio.Protocol):
    """One kept connection; `done(status)` is called for each answer."""

    def __init__(self, done: Callable[[Connection, int], None]) -> None:
        self.done = done
        self.buffer = b""
        self.due = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        status = int(self.buffer[9:12])
        self.buffer = self.buffer[end + 4 + length :]
        self.done(self, status)


async def connect(job: dict[str, Any], count: int, done: Callable[[Connection, int], None]) -> list[Connection]:
    parts = urlsplit(job["url"])
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        _, protocol = await loop.create_connection(lambda: Connection(done), parts.hostname, parts.port)
        made.append(protocol)
    return made


async def closed(job: dict[str, Any]) -> dict[str, Any]:
    request = make_requests(job)
    numbers: Iterator[int] = iter(range(10**9))
    latencies: list[float] = []
    errors: dict[int, int] = {}
    finished = asyncio.Event()
    state = {"stop": False, "open": 0}

    def fire(connection: Connection) -> None:
        connection.due = time.perf_counter()
        connection.transport.write(request(next(numbers)))

    def done(connection: Connection, status: int) -> None:
        latencies.append(time.perf_counter() - connection.due)
        if status != 202:
            errors[status] = errors.get(status, 0) + 1
        if not state["stop"]:
            fire(connection)
        else:
            state["open"] -= 1
            if not state["open"]:
                finished.set()

    connections = await connect(job, job["connections"], done)
    state["open"] = len(connections)
    started = time.perf_counter()
    for connection in connections:
        fire(connection)
    await asyncio.sleep(job["seconds"])
    state["stop"] = True
    counted = len(latencies)
    elapsed = time.perf_counter() - started
    await asyncio.wait_for(finished.wait(), 30)
    for connection in connections:
        connection.transport.close()
    return {"rate": counted / elapsed, "errors": errors, **percentiles(latencies)}


async def open_loop(job: dict[str, Any]) -> dict[str, Any]:
    """Requests are due at a fixed rate; one that finds no free connection waits, and its wait counts."""
    request = make_requests(job)
    latencies: list[float] = []
    errors: dict[int, int] = {}
    free: list[Connection] = []
    waiting: list[float] = []
    total = int(job["rate"] * job["seconds"])
    state = {"sent": 0, "answered": 0}
    finished = asyncio.Event()

    def fire(connection: Connection, due: float) -> None:
        connection.due = due
        connection.transport.write(request(state["sent"]))
        state["sent"] += 1

    def done(connection: Connection, status: int) -> None:
        latencies.append(time.perf_counter() - connection.due)
        state["answered"] += 1
        if status != 202:
            errors[status] = errors.get(status, 0) + 1
        if waiting:
            fire(connection, waiting.pop(0))
        else:
            free.append(connection)
        if state["answered"] == total:
            finished.set()

    free.extend(await connect(job, job["connections"], done))
    started = time.perf_counter()
    scheduled = 0
    while scheduled < total:
        due_count = min(total, int((time.perf_counter() - started) * job["rate"]))
        while scheduled < due_count:
            due = started + scheduled / job["rate"]
            scheduled += 1
            if free:
                fire(free.pop(), due)
            else:
                waiting.append(due)
        await asyncio.sleep(0.001)
    await asyncio.wait_for(finished.wait(), 60)
    return {"rate": job["rate"], "errors": errors, **percentiles(latencies)}


def percentiles(latencies: list[float]) -> dict[str, float]:
    ordered = sorted(latencies)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("nan")

    return {"p50_ms": at(0.50), "p95_ms": at(0.95), "p99_ms": at(0.99), "count": len(ordered)}


async def main() -> None:
    job = json.loads(sys.stdin.read())
    result = await (open_loop(job) if job["loop"] == "open" else closed(job))
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
