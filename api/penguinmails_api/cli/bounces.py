"""`bounces`: read what mail systems sent back, take it, and look at what proved nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import typer

from penguinmails_api.cli.output import fail

app = typer.Typer(help="Bounces, complaints and automatic answers.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Bounces, complaints and automatic answers."""


@app.command()
def classify(
    files: list[str] = typer.Argument(
        ..., metavar="FILE...", help="Mails (RFC 5322), one in each file; - reads standard input."
    ),
) -> None:
    """Print one line of JSON for each mail: whom it reports on, why, and what follows from it.

    `recipients` is empty for a mail that is no report. A file that cannot be read is told of on standard error and
    makes the exit status 1; the others are printed all the same.
    """
    from penguinmails_sender.bounces import classify as read_mail

    unreadable = []
    for name in files:
        try:
            data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            unreadable.append(f"{name}: {error.strerror or error}")
            continue
        recipients = [
            {
                "address": finding.address,
                "kind": finding.kind,
                "hard": finding.hard,
                "dsn": finding.dsn,
                "reason": finding.reason,
                "scope": finding.scope,
                "action": finding.action,
            }
            for finding in read_mail(data)
        ]
        typer.echo(json.dumps({"file": name, "recipients": recipients}, ensure_ascii=False))
    if unreadable:
        raise fail("; ".join(unreadable))


@app.command()
def intake(
    port: int = typer.Option(None, help="SMTP port. Default: PENGUINMAILS_BOUNCES_PORT; 0 picks a free one."),
) -> None:
    """Take reports by SMTP, apart from the worker: on DATABASE_URL, until stopped.

    The MX of PENGUINMAILS_SENDER_RETURN_PATH has to lead here. Runs beside others of its kind.
    """
    from redis.asyncio import Redis

    from penguinmails_api.cli.serve import run_until_stopped
    from penguinmails_api.runtime.connect import database_url, redis_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.runtime.secrets import configured_keys, secret_box
    from penguinmails_api.runtime.worker import open_reports
    from penguinmails_api.services import Settings
    from penguinmails_core.config import ConfigError
    from penguinmails_core.kit.db import Database
    from penguinmails_core.kit.doorbell import Doorbell

    settings = Settings()
    if port is not None:
        settings = replace(settings, bounces=settings.bounces.model_copy(update={"port": port}))
    if settings.bounces.port is None:
        raise ConfigError("set PENGUINMAILS_BOUNCES_PORT, or give --port")
    url, redis_at = database_url(settings), redis_url(settings)
    box = secret_box(configured_keys(settings.stack))

    async def main(stop: asyncio.Event) -> None:
        await database_reachable(url)
        connections = settings.database.worker_connections
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=connections)
        redis = Redis.from_url(redis_at) if redis_at else None
        doorbell = Doorbell(redis)
        await doorbell.start()
        try:
            async with open_reports(database, doorbell, box, settings) as door:
                typer.echo(f"reports come in at {door.host}:{door.port}")
                await stop.wait()
        finally:
            await doorbell.stop()
            if redis is not None:
                await redis.aclose()
            await database.close()

    run_until_stopped(main)


@app.command()
def refused(
    limit: int = typer.Option(50, min=1, max=10_000, help="How many, the newest first."),
) -> None:
    """Print mails that came to the door and proved nothing, one line of JSON each: none of them changed anything."""
    from penguinmails_api.runtime.connect import database_url
    from penguinmails_api.services import Settings
    from penguinmails_core.bounces.repository import list_refused
    from penguinmails_core.kit.clock import rfc3339
    from penguinmails_core.kit.db import Database

    async def main() -> None:
        database = await Database.open(
            database_url(Settings()), pool_size=1, ingest_connections=1, worker_connections=1
        )
        try:
            for row in await list_refused(database.worker, limit):
                shown = {
                    "received_at": rfc3339(row["received_at"]),
                    "cause": row["cause"],
                    "recipient": row["recipient"],
                    "envelope_sender": row["envelope_sender"],
                    "reporter": row["reporter"],
                    "seen": row["seen"],
                    "excerpt": row["excerpt"],
                }
                typer.echo(json.dumps(shown, ensure_ascii=False))
        finally:
            await database.close()

    asyncio.run(main())
