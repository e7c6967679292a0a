"""`accept`, `accept_vs_pgbench`, `batch100` and `p95_at_80pct`: the API as a client sees it, all features on."""

from __future__ import annotations

import json
from typing import Any

from bench.report import Result, median
from bench.world import HTML, ROOT, TEXT, World, message

CONNECTIONS = 48


def _job(url: str, run: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {"loop": "closed", "url": url, "run": run, "seconds": seconds, "connections": CONNECTIONS, **more}


def ours_job(world: World, url: str, run: str, seconds: float, **more: Any) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {world.tenant.api_key}"}
    body = json.dumps(message(world.tenant.sender))
    return _job(url + "/v1/emails", run, seconds, headers=headers, body=body, idempotency=True, **more)


async def accept(world: World, rounds: int, seconds: float) -> list[Result]:
    """Ours with keys, limits, row-level security, idempotency, content and events; the reference only inserts."""
    ours_url, book, full = await world.serve(), await world.textbook(), await world.textbook(full=True)
    book_body = json.dumps(message(world.tenant.sender))
    full_headers = {"authorization": "Bearer x"}
    rates: dict[str, list[float]] = {"ours": [], "book": [], "full": [], "pgbench": []}
    await world.clean()
    await world.load(ours_job(world, ours_url, "warm", 1))
    await world.load(_job(book, "warm", 1, body=book_body))
    await world.load(_job(full, "warm", 1, body=book_body, headers=full_headers, idempotency=True))
    await world.analyze()
    for number in range(rounds):
        run = f"r{number}"
        rates["ours"].append((await world.load(ours_job(world, ours_url, run, seconds)))["rate"])
        rates["book"].append((await world.load(_job(book, run, seconds, body=book_body)))["rate"])
        rates["pgbench"].append(await world.pgbench(_pgbench_script(world), clients=16, seconds=max(1, int(seconds))))
        job = _job(full, run, seconds, body=book_body, headers=full_headers, idempotency=True)
        rates["full"].append((await world.load(job))["rate"])
    ours, reference, same, floor = (median(rates[name]) for name in ("ours", "book", "full", "pgbench"))
    peak = max(rates["ours"])
    latency = await world.load({**ours_job(world, ours_url, "open", seconds * 2), "loop": "open", "rate": ours * 0.8})
    return [
        Result("accept", ours / reference, 6, 12, f"{ours:.0f} req/s", f"{reference:.0f} req/s textbook, insert only"),
        Result("accept_same_features", ours / same, None, None, f"{ours:.0f} req/s", f"{same:.0f} req/s textbook, all"),
        Result(
            "accept_vs_pgbench", ours / floor, 0.30, 0.60, f"{ours:.0f} req/s", f"{floor:.0f} tx/s pgbench, 16 clients"
        ),
        Result(
            "p95_at_80pct",
            200 / latency["p95_ms"],
            1,
            4,
            f"p95 {latency['p95_ms']:.1f} ms, p99 {latency['p99_ms']:.1f} ms at {ours * 0.8:.0f} req/s",
            f"200 ms (saturation {ours:.0f}, best round {peak:.0f})",
        ),
    ]


async def batch100(world: World, rounds: int, seconds: float) -> list[Result]:
    """100 messages a request, against ORM `add_all` of the message and its outbox row; the message alone, and all that
    ours does, are shown too, for information."""
    ours_url, book = await world.serve(), await world.textbook()
    one = json.dumps(message(world.tenant.sender))
    items = ",".join(one.replace("@N@", f"@N@-{i}") for i in range(100))
    headers, full_headers = {"authorization": f"Bearer {world.tenant.api_key}"}, {"authorization": "Bearer x"}
    rates: dict[str, list[float]] = {"ours": [], "batch": [], "batch-insert-only": [], "full-batch": []}
    await world.clean()
    for number in range(-1, rounds):
        run, length = f"b{number}", seconds if number >= 0 else 1.0
        job = _job(ours_url + "/v1/emails/batch", run, length, headers=headers, body=f'{{"emails":[{items}]}}')
        found = {"ours": await world.load({**job, "idempotency": True, "connections": 16})}
        for name in ("batch", "batch-insert-only"):
            url = book.replace("/emails", f"/{name}")
            found[name] = await world.load({**_job(url, run, length, body=f"[{items}]"), "connections": 16})
        full = _job(book.replace("/emails", "/full-batch"), run, length, body=f"[{items}]", headers=full_headers)
        found["full-batch"] = await world.load({**full, "idempotency": True, "connections": 16})
        if number >= 0:
            for name, result in found.items():
                rates[name].append(result["rate"] * 100)
    ours, reference, bare, same = (median(values) for values in rates.values())
    return [
        Result(
            "batch100", ours / reference, 3, 6, f"{ours:.0f} msg/s", f"{reference:.0f} msg/s ORM add_all, with outbox"
        ),
        Result(
            "batch100_insert_only",
            ours / bare,
            None,
            None,
            f"{ours:.0f} msg/s",
            f"{bare:.0f} msg/s ORM add_all, messages",
        ),
        Result(
            "batch100_same_features", ours / same, None, None, f"{ours:.0f} msg/s", f"{same:.0f} msg/s textbook, all"
        ),
    ]


def _pgbench_script(world: World) -> str:
    script = (ROOT / "bench" / "references" / "accept_pgbench.sql").read_text()
    parts = {"@ORGANIZATION@": str(world.tenant.organization_id), "@TEXT@": "x" * len(TEXT), "@HTML@": "y" * len(HTML)}
    for mark, value in parts.items():
        script = script.replace(mark, value)
    return script
