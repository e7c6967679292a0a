"""`warmup`: how a new source grows, and the warm-ups of this server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from penguinmails_api.cli.output import fail, show_json
from penguinmails_core.lanes import warmup

if TYPE_CHECKING:
    from penguinmails_core.kit.db import Database

Value = TypeVar("Value")

app = typer.Typer(help="Warm up new sources: the calendar, and what runs.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Warm up new sources: the calendar, and what runs."""


@app.command()
def simulate(
    schedule: str = typer.Option("standard", help="standard, careful or fast."),
    target: int = typer.Option(..., min=1, max=1_000_000_000, help="Messages a day to reach."),
    group: str = typer.Option(None, help="Provider group, such as google; some take less at first."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Print the calendar: the cap of each day until the target, if nothing goes wrong.

    A real warm-up grows only on days that went well; deferrals, bounces, blocks and complaints hold it, take it a step
    back or stop it (docs/lanes.md). Nothing is sent and nothing is changed.
    """
    data = warmup.shipped()
    found = data.schedules.get(schedule)
    if found is None:
        raise fail(f"there is no schedule {schedule!r}; there are {', '.join(data.schedules)}")
    share = 1.0 if group is None else data.share(group)
    days = warmup.calendar(found, target, share)
    if as_json:
        show_json(warmup.as_json(found, target, group, share, days))
        return
    typer.echo(f"Schedule {found.name} to {target:,} a day" + (f", towards {group}" if group else ""))
    typer.echo(f"Source: {found.source} (checked {found.checked})\n")
    typer.echo(warmup.table(days))
    typer.echo("\n" + warmup.chart(days))


@app.command()
def start(
    target: int = typer.Option(..., min=1, max=1_000_000_000, help="Messages a day to reach."),
    group: str = typer.Option(..., help="Provider group, such as google."),
    source: str = typer.Option("default", help="IP pool or mailbox that is warmed up."),
    schedule: str = typer.Option("standard", help="standard, careful or fast."),
) -> None:
    """Begin to warm a source up towards a provider, or begin again: its lane gets a daily cap that grows."""
    from penguinmails_core.lanes import warmups

    cap = _run(lambda database: warmups.start(database.worker, source, group, schedule, target))
    typer.echo(f"{source} to {group}: {cap:,} messages today")


@app.command()
def end(
    group: str = typer.Option(..., help="Provider group, such as google."),
    source: str = typer.Option("default", help="IP pool or mailbox."),
) -> None:
    """Forget a warm-up: the lane has no daily cap any more."""
    from penguinmails_core.lanes import warmups

    _run(lambda database: warmups.end(database.worker, source, group))
    typer.echo(f"{source} to {group}: no cap")


@app.command(name="list")
def list_(as_json: bool = typer.Option(False, "--json", help="One JSON array.")) -> None:
    """Show the warm-ups of this server and where they stand."""
    from penguinmails_core.lanes import warmups_repository

    names = ("source", "provider_group", "schedule", "state", "step", "cap", "target", "reason")
    rows = _run(lambda database: warmups_repository.list_all(database.worker))
    found = [{name: row[name] for name in names} for row in rows]
    if as_json:
        show_json(found)
        return
    for row in found:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items()))


def _run(work: Callable[[Database], Awaitable[Value]]) -> Value:
    from penguinmails_api.runtime.connect import database_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.errors import Problem
    from penguinmails_core.kit.db import Database

    url = database_url(Settings())

    async def main() -> Value:
        await database_reachable(url, seconds=0)
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=1)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(main())
    except Problem as error:
        raise fail(error.detail) from None
