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
    from penguinmails_api.runtime.connect import database_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.api_keys.service import create_key
    from penguinmails_core.kit import ids
    from penguinmails_core.kit.db import Database
    from penguinmails_core.organizations.service import list_organizations
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
            organizations = await list_organizations(database)
            if organization:
                try:
                    wanted = ids.decode("org", organization)
                except ids.IdError as error:
                    raise typer.BadParameter(str(error), param_hint="--organization") from None
                organizations = [found for found in organizations if found[0] == wanted]
            if not organizations:
                raise typer.BadParameter("there is no such organization", param_hint="--organization")
            if len(organizations) > 1:
                lines = "\n".join(f"  {ids.encode('org', found)}  {title}" for found, title in organizations)
                raise typer.BadParameter(f"there are several; name one of\n{lines}", param_hint="--organization")
            scopes = [Scope(item) for item in scope] or ALL_SCOPES
            _, key = await create_key(database, organizations[0][0], mode=mode, name=name, scopes=scopes)
            return key
        finally:
            await database.close()

    typer.echo(asyncio.run(main()))
