"""The tree of commands. Each module adds its own; heavy imports happen inside the commands, so `--help` is quick."""

from __future__ import annotations

import typer

from penguinmails_api.cli import (
    audit,
    bounces,
    demo,
    emails,
    events,
    keys,
    listen,
    login,
    operate,
    plans,
    postfix,
    sandbox,
    serve,
    trigger,
    users,
    warmup,
    webhooks,
)

app = typer.Typer(
    name="penguinmails",
    help="PenguinMails: the self-hosted API platform for outbound email.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"penguinmails {version('penguinmails-server')}")
        raise typer.Exit


@app.callback()
def root(
    log_level: str = typer.Option("", help="debug, info, warning or error; logs go to standard error."),
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    from penguinmails_api.observability.logs import configure_logging
    from penguinmails_core.config import StackSettings

    settings = StackSettings()
    level = (log_level or settings.log_level).upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise typer.BadParameter("must be debug, info, warning or error", param_hint="--log-level")
    configure_logging(level, settings.log_format)


serve.add_to(app)
operate.add_to(app)
demo.add_to(app)
sandbox.add_to(app)
login.add_to(app)
listen.add_to(app)
trigger.add_to(app)
app.add_typer(audit.app, name="audit")
app.add_typer(bounces.app, name="bounces")
app.add_typer(emails.app, name="emails")
app.add_typer(events.app, name="events")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(plans.app, name="plans")
app.add_typer(postfix.app, name="postfix")
app.add_typer(warmup.app, name="warmup")
app.add_typer(webhooks.app, name="webhooks")
