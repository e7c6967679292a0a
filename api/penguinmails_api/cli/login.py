"""`login` and `logout`: the other client commands use it when no key is set."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    app.command()(login)
    app.command()(logout)


def login(
    server: str = typer.Option(
        None, help="URL of the server. Default: PENGUINMAILS_BASE_URL, or the one running here."
    ),
    scope: list[str] = typer.Option(
        [], help="What it may do, such as emails:read; repeat it. Default: mail and events."
    ),
) -> None:
    """Sign in with a browser, here or on another device. Tokens are kept in your own folder, for you alone."""
    from penguinmails_api.runtime.connect import client_url
    from penguinmails_api.runtime.login import sign_in

    def show(url: str, code: str) -> None:
        typer.echo(f"Open   {url}")
        typer.echo(f"and check that it shows the code   {code}")

    done = sign_in(server or client_url(), scope, show)
    typer.echo(f"Signed in to {done.server}: {done.scope}")


def logout(server: str = typer.Option(None, help="URL of the server. Default: the one you signed in to last.")) -> None:
    """Sign out: the server forgets the tokens, and so does this machine."""
    from penguinmails_api.runtime.login import sign_out

    gone = sign_out(server)
    if gone is None:
        typer.echo("You are not signed in.", err=True)
        raise typer.Exit(1)
    typer.echo(f"Signed out of {gone}")
