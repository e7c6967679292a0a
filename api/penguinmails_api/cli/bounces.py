"""`bounces`: read what mail systems sent back."""

from __future__ import annotations

import json
import sys
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
