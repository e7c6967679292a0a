"""`users`: people who may sign in, straight in the database, for the operator of the machine."""

from __future__ import annotations

import asyncio

import typer

app = typer.Typer(help="People who may sign in.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """People who may sign in."""


@app.command()
def create(
    email: str = typer.Option(..., help="Address the person signs in with."),
    organization: str = typer.Option("", help="Organization id (org_...); not needed when there is only one."),
    name: str = typer.Option("", help="The person's name."),
    owner: bool = typer.Option(False, "--owner", help="Make them an owner of the organization; default: a member."),
) -> None:
    """Add a person and print a link to set a password. It works once, within 24 hours; no mail is needed.

    For somebody who is there already it prints a new link: a way back in on a server that sends no mail.
    """
    from penguinmails_api.cli.choose import choose_organization
    from penguinmails_api.runtime.connect import database_url, public_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.errors import Problem
    from penguinmails_core.identity.accounts import create_person
    from penguinmails_core.kit.db import Database

    settings = Settings()
    url, base = database_url(settings), public_url(settings)

    async def main() -> str:
        await database_reachable(url, seconds=0)
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=1)
        try:
            chosen = await choose_organization(database, organization)
            role = "owner" if owner else "member"
            _, token = await create_person(database, email, name=name or None, organization_id=chosen, role=role)
            return f"{base}/reset-password/choose?token={token}"
        except Problem as problem:
            raise typer.BadParameter(problem.detail, param_hint="--email") from None
        finally:
            await database.close()

    typer.echo(asyncio.run(main()))
