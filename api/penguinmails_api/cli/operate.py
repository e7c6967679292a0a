"""`migrate`, `doctor` and `secret-key`: what an operator needs besides running the thing."""

from __future__ import annotations

import asyncio

import typer


def add_to(app: typer.Typer) -> None:
    app.command()(migrate)
    app.command()(doctor)
    app.command(name="secret-key")(secret_key)


def migrate() -> None:
    """Bring the database at DATABASE_URL to the newest schema and apply row-level security. Safe to repeat."""
    from sqlalchemy.exc import DBAPIError

    from penguinmails_api.runtime.connect import database_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.config import ConfigError
    from penguinmails_core.migrations import migrate as run_migrations

    settings = Settings()
    url, content = database_url(settings), settings.content.database_url
    content_url = content.get_secret_value() if content else None

    async def main() -> None:
        await database_reachable(url, seconds=0)
        if content_url:
            await database_reachable(content_url, seconds=0, name="PENGUINMAILS_CONTENT_DATABASE_URL")
        await run_migrations(url, content_url)

    try:
        asyncio.run(main())
    except DBAPIError as error:
        raise ConfigError(f"the database refuses the schema: {error.orig}") from None
    typer.echo("The schema is up to date.")


def secret_key() -> None:
    """Print a new key for PENGUINMAILS_SECRET_KEYS. Put it first in the list; old ones stay to open old secrets."""
    from penguinmails_core.kit.crypto import new_secret_key

    typer.echo(new_secret_key())


def doctor() -> None:
    """Look at every part and say what is wrong and what to do about it. Exit code 1 when something is."""
    from penguinmails_api.runtime.doctor import examine
    from penguinmails_api.services import Settings

    findings = asyncio.run(examine(Settings()))
    for finding in findings:
        typer.secho(
            f"{'ok  ' if finding.ok else 'FAIL'} {finding.part:<12} {finding.detail}", fg=None if finding.ok else "red"
        )
        if finding.fix:
            typer.echo(f"     {'':<12} fix: {finding.fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
