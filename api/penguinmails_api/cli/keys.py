"""`keys`: API keys straight from the database, for the operator of the machine."""

from __future__ import annotations

import asyncio

import typer

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """API keys."""


@app.command()
def create(
    name: str = typer.Option("cli", help="What the key is for."),
    mode: str = typer.Option("live", help="live or test."),
    organization: str = typer.Option("", help="Organization id (org_...); not needed when there is only one."),
    scope: list[str] = typer.Option([], help="Scope such as emails:write; repeat it. Default: all."),
) -> None:
    """Create a key and print it: this once."""
    from penguinmails_api.cli.choose import choose_organization
    from penguinmails_api.runtime.connect import database_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.api_keys.service import create_key
    from penguinmails_core.kit.db import Database
    from penguinmails_core.scopes import ALL_SCOPES, Scope

    if mode not in ("live", "test"):
        raise typer.BadParameter("must be live or test", param_hint="--mode")
    unknown = sorted(set(scope) - set(ALL_SCOPES))
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)} unknown; there are {', '.join(ALL_SCOPES)}", param_hint="--scope"
        )
    url = database_url(Settings())

    async def main() -> str:
        await database_reachable(url, seconds=0)
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=1)
        try:
            chosen = await choose_organization(database, organization)
            scopes = [Scope(item) for item in scope] or ALL_SCOPES
            _, key = await create_key(database, chosen, mode=mode, name=name, scopes=scopes)
            return key
        finally:
            await database.close()

    typer.echo(asyncio.run(main()))
