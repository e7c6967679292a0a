"""`postfix`: a smarthost of our own."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(help="A Postfix that delivers for the sender.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """A Postfix that delivers for the sender."""


@app.command()
def render(
    folder: Path = typer.Option(..., "--dir", help="Folder for main.cf and master.cf."),
    state: Path = typer.Option("/var/spool/penguinmails-postfix", help="Folder for queue and log, not in --dir."),
    hostname: str = typer.Option(None, help="Public name in EHLO. Default: PENGUINMAILS_SENDER_HOSTNAME."),
    return_path: str = typer.Option(None, help="Domain of return paths. Default: PENGUINMAILS_SENDER_RETURN_PATH."),
    listen: str = typer.Option("127.0.0.1:2526", help="Where the sender hands mail over."),
    reports: str = typer.Option(None, help="Where reports go. Default: 127.0.0.1 and PENGUINMAILS_BOUNCES_PORT."),
    next_hop: str = typer.Option(None, help="Another relay. Default: the recipients' own servers."),
    source_address: str = typer.Option(None, help="IP address that mail leaves from."),
    network: list[str] = typer.Option(None, help="Network that may relay, besides loopback. Repeat for more."),
    setting: list[str] = typer.Option(None, "--set", metavar="NAME=VALUE", help="Parameter of main.cf, over ours."),
) -> None:
    """Write main.cf and master.cf of an instance of its own, for `postfix -c FOLDER check` and `start`.

    It relays for loopback and the given networks only, and sends its reports to the bounce intake.
    """
    from penguinmails_api.services import Settings
    from penguinmails_core.config import ConfigError
    from penguinmails_sender.postfix.render import Place, RenderError, Smarthost
    from penguinmails_sender.postfix.render import render as write

    settings = Settings()
    domain = return_path or settings.sender.return_path
    if domain is None:
        raise ConfigError("set PENGUINMAILS_SENDER_RETURN_PATH, or give --return-path: reports go to that domain")
    parameters = dict(item.partition("=")[::2] for item in setting or ())
    try:
        host = Smarthost(
            hostname or settings.sender.hostname,
            domain,
            Place.parse(listen),
            Place.parse(reports or f"127.0.0.1:{settings.bounces.port or 2525}"),
            Place.parse(next_hop) if next_hop else None,
            source_address or settings.sender.source_address,
            ("127.0.0.0/8", "[::1]/128", *(network or ())),
            {name.strip(): value.strip() for name, value in parameters.items()},
            state.absolute(),
        )
        written = write(host, folder)
    except RenderError as error:
        raise ConfigError(str(error)) from None
    for path in written:
        typer.echo(str(path))
    typer.echo(f"check it with: postfix -c {folder.absolute()} check", err=True)
