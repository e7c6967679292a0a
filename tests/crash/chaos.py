"""Kill something at a random instant, many times, while mail flows; then count everything.

By hand: ``make chaos N=1000`` (or ``python -m tests.crash.chaos --rounds 1000 --seed 7``).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from penguinmails_core.kit import ids
from tests.crash.processes import CrashWorld

FINAL = ("sent", "delivered", "bounced", "failed", "suppressed", "cancelled", "complained")
CLIENTS = 6
SETTLE_SECONDS = 90


@dataclass
class Report:
    """What there was at the end. `problems` is empty when every promise held."""

    rounds: int = 0
    seed: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    lost_transactional: int = 0
    doubled_campaign: int = 0
    resent_transactional: int = 0
    unknown_campaign: int = 0
    not_in_database: int = 0
    not_final: int = 0
    events: int = 0
    events_missing: int = 0
    event_repeats: int = 0
    invalid_signatures: int = 0
    seconds: float = 0

    @property
    def problems(self) -> list[str]:
        wrong = {
            "transactional messages lost": self.lost_transactional,
            "campaign messages doubled": self.doubled_campaign,
            "202s that are not in the database": self.not_in_database,
            "messages without a final state": self.not_final,
            "events that never reached the webhook": self.events_missing,
            "webhooks with a bad signature": self.invalid_signatures,
        }
        return [f"{count} {what}" for what, count in wrong.items() if count]

    def __str__(self) -> str:
        classes = Counter(self.accepted.values())
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        statuses = ", ".join(f"{name} {count}" for name, count in sorted(self.statuses.items()))
        return "\n".join(
            (
                f"rounds                {self.rounds} (seed {self.seed}, {self.seconds:.0f} s)",
                f"killed                {kills}",
                f"accepted              {classes['transactional']} transactional, {classes['campaign']} campaign",
                f"final states          {statuses}",
                f"transactional lost    {self.lost_transactional}   (sent again after a lost answer: "
                f"{self.resent_transactional})",
                f"campaign doubled      {self.doubled_campaign}   (given up as unknown: {self.unknown_campaign})",
                f"202 not in database   {self.not_in_database}",
                f"events                {self.events}, missing at the webhook {self.events_missing}, "
                f"repeated with the same id {self.event_repeats}",
                "verdict               " + ("; ".join(self.problems) or "every promise held"),
            )
        )


async def chaos(rounds: int, seed: int, *, progress: bool = False) -> Report:
    """`rounds` kills. Valkey is killed now and then, and in the last third it is gone for good."""
    rng = random.Random(seed)
    report = Report(rounds=rounds, seed=seed)
    started = time.monotonic()
    async with CrashWorld() as world:
        await world.worker.start()
        stop = asyncio.Event()
        clients = [asyncio.create_task(_client(world, number, stop, report)) for number in range(CLIENTS)]
        starting: dict[str, asyncio.Task[None]] = {}
        try:
            for number in range(rounds):
                await asyncio.sleep(rng.uniform(0.0, 0.6))
                await _kill_something(world, rng, report, starting, valkey_returns=number < rounds * 2 // 3)
                if progress:
                    print(f"\r{number + 1}/{rounds} kills, {len(report.accepted)} accepted", end="", file=sys.stderr)
        finally:
            await asyncio.gather(*starting.values())
            stop.set()
            await asyncio.gather(*clients)
        if progress:
            print("\rwaiting for every message to end …          ", file=sys.stderr)
        await _settle(world, report)
        await _count(world, report)
    report.seconds = time.monotonic() - started
    return report


async def _client(world: CrashWorld, number: int, stop: asyncio.Event, report: Report) -> None:
    """Sends one message after another; what it was told 202 for is written down."""
    count = 0
    while not stop.is_set():
        name = f"{number}-{count}"
        message_class = "campaign" if count % 2 else "transactional"
        answer = await world.post("/v1/emails", world.email(name, message_class), f"key-{name}")
        report.accepted[answer["id"]] = message_class
        count += 1
        await asyncio.sleep(0.05)


async def _kill_something(
    world: CrashWorld,
    rng: random.Random,
    report: Report,
    starting: dict[str, asyncio.Task[None]],
    *,
    valkey_returns: bool,
) -> None:
    """Kill one of those that work at this moment. A process that starts again does so beside the next kills."""
    children = {"worker": world.worker, "API": world.api}
    while True:
        victim = rng.choices(("worker", "API", "PostgreSQL", "Valkey"), (5, 3, 2, 1))[0]
        if victim == "Valkey" and not world.stack.valkey.running:
            continue
        if victim in starting:
            await starting[victim]
        break
    report.kills[victim] += 1
    match victim:
        case "worker" | "API":
            await children[victim].kill()
            starting[victim] = asyncio.create_task(children[victim].start())
        case "PostgreSQL":
            await asyncio.to_thread(world.stack.postgres.kill)
            await asyncio.to_thread(world.stack.postgres.start)
        case "Valkey":
            await asyncio.to_thread(world.stack.valkey.kill)
            if valkey_returns:
                await asyncio.to_thread(world.stack.valkey.start)


async def _settle(world: CrashWorld, report: Report) -> None:
    """Until every recipient is final and every delivery is made, or the time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        waiting = await _fetchval(
            world, "select count(*) from email_recipients where status <> all($1::text[])", list(FINAL)
        )
        owed = await _fetchval(world, "select count(*) from webhook_deliveries where status = 'pending'")
        unread = len(await _missing_events(world)) if not waiting and not owed else 1
        if not waiting and not owed and not unread:
            return
        await asyncio.sleep(0.3)


async def _count(world: CrashWorld, report: Report) -> None:
    rows = await _fetch(
        world,
        "select m.id, m.message_class, r.status, r.reason from email_messages m "
        "join email_recipients r on (r.organization_id, r.message_id) = (m.organization_id, m.id)",
    )
    found = {ids.encode("msg", row["id"]): row for row in rows}
    report.not_in_database = len(set(report.accepted) - set(found))
    report.statuses = Counter(row["status"] for row in rows)
    report.not_final = sum(row["status"] not in FINAL for row in rows)
    for email_id, row in found.items():
        copies = world.sink.copies[email_id]
        if row["message_class"] == "campaign":
            report.doubled_campaign += copies > 1
            report.unknown_campaign += row["status"] == "failed"
        else:
            report.lost_transactional += copies == 0
            report.resent_transactional += copies > 1
    missing = await _missing_events(world)
    report.events = await _fetchval(world, "select count(*) from events where type like 'email.%'")
    report.events_missing = len(missing)
    report.event_repeats = sum(count - 1 for count in world.receiver.seen.values())
    report.invalid_signatures = world.receiver.invalid


async def _missing_events(world: CrashWorld) -> set[str]:
    rows = await _fetch(world, "select id from events where type like 'email.%'")
    return {ids.encode("evt", row["id"]) for row in rows} - set(world.receiver.seen)


async def _fetch(world: CrashWorld, query: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(world.stack.database_url)
    try:
        rows: list[Any] = await connection.fetch(query, *arguments)
        return rows
    finally:
        await connection.close()


async def _fetchval(world: CrashWorld, query: str, *arguments: Any) -> int:
    value: int = (await _fetch(world, query, *arguments))[0][0]
    return value


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos", description="Kill processes at random while mail flows; count.")
    parser.add_argument("--rounds", type=int, default=200, help="how many kills (default 200)")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's choices")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    report = asyncio.run(chaos(options.rounds, seed, progress=sys.stderr.isatty()))
    print(report)
    raise SystemExit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
