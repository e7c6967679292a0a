"""`plans`: the price list, who is on which plan, and exceptions, for the operator of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import typer

if TYPE_CHECKING:
    from penguinmails_core.kit.db import Database

Value = TypeVar("Value")

app = typer.Typer(help="Plans and limits.", no_args_is_help=True)
_ORGANIZATION = typer.Argument(help="Organization id (org_...).")


@app.callback()
def group() -> None:
    """Plans and limits."""


@app.command(name="list")
def list_(as_json: bool = typer.Option(False, "--json", help="All columns, as JSON.")) -> None:
    """Show the plans. `-` means: no limit."""
    import json

    from penguinmails_core.limits import repository

    plans = [dict(plan) for plan in _run(lambda database: repository.list_plans(database.worker))]
    if as_json:
        typer.echo(json.dumps(plans, indent=2))
        return
    columns = (
        "api_requests_per_minute",
        "api_burst",
        "emails_per_second",
        "max_emails_per_day",
        "max_emails_per_month",
    )
    titles = ("plan", "USD/month", "requests/min", "burst", "sends/s", "sends/day", "sends/month")
    rows = [titles]
    for plan in plans:
        cents = plan["price_month_cents"]
        price = "-" if cents is None else f"{cents // 100}"
        rows.append((plan["code"], price, *("-" if plan[name] is None else f"{plan[name]:,}" for name in columns)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command(name="set")
def set_(
    organization: str = _ORGANIZATION, plan: str = typer.Argument(help="Code of a plan, such as starter.")
) -> None:
    """Put an organization on a plan."""
    from penguinmails_core.audit.actor import Actor
    from penguinmails_core.limits import service

    actor = Actor.operator(_organization(organization))
    before = _run(lambda database: service.set_plan(database, actor, plan), ring=True)
    typer.echo(f"{organization} is on {plan} (before: {before or 'the default plan'}).")


@app.command()
def override(
    organization: str = _ORGANIZATION,
    limit: str = typer.Argument(help="Name of a limit, such as max_emails_per_month."),
    value: str = typer.Argument(help="A number, `none` for no limit, or `plan` to end the override."),
    reason: str = typer.Option("", help="Why; kept and shown."),
    days: int = typer.Option(0, min=0, help="Ends after so many days; 0 keeps it."),
) -> None:
    """Give one organization another value of one limit."""
    from penguinmails_core.audit.actor import Actor
    from penguinmails_core.limits import service

    actor = Actor.operator(_organization(organization))
    if value == "plan":
        ended = _run(lambda database: service.end_override(database, actor, limit), ring=True)
        typer.echo(f"{limit} is what the plan says{'' if ended else '; there was no override'}.")
        return
    if value != "none" and not value.isdigit():
        raise typer.BadParameter("must be a number, none or plan", param_hint="VALUE")
    number = None if value == "none" else int(value)
    ends_at = datetime.now(UTC) + timedelta(days=days) if days else None
    _run(lambda db: service.override(db, actor, limit, number, reason=reason, ends_at=ends_at), ring=True)
    until = f" for {days} days" if days else ""
    typer.echo(f"{limit} of {organization} is {'without limit' if number is None else number}{until}.")


def _organization(text: str) -> UUID:
    from penguinmails_core.kit import ids

    try:
        return ids.decode("org", text)
    except ids.IdError as error:
        raise typer.BadParameter(str(error), param_hint="ORGANIZATION") from None


def _run(work: Callable[[Database], Awaitable[Value]], *, ring: bool = False) -> Value:
    """`ring`: processes that run forget the limits that they know."""
    from penguinmails_api.runtime.connect import database_url, redis_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.errors import NotFound
    from penguinmails_core.kit.db import Database
    from penguinmails_core.kit.doorbell import LIMITS, ring_once
    from penguinmails_core.limits.service import LimitError

    settings = Settings()
    url, redis = database_url(settings), redis_url(settings)

    async def main() -> Value:
        await database_reachable(url, seconds=0)
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=1)
        try:
            result = await work(database)
        finally:
            await database.close()
        if ring and redis:
            await ring_once(redis, LIMITS)
        return result

    try:
        return asyncio.run(main())
    except (LimitError, NotFound) as error:
        raise typer.BadParameter(str(error)) from None
