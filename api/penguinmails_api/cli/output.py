"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from typing import Any

import typer


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def fail(error: Any) -> typer.Exit:
    """Show an SDK error: what went wrong, each field, and the request id to quote."""
    typer.secho(f"penguinmails: {error}", fg="red", err=True)
    for item in getattr(error, "errors", None) or ():
        pointer = item.get("pointer") if isinstance(item, dict) else getattr(item, "pointer", "")
        detail = item.get("detail") if isinstance(item, dict) else getattr(item, "detail", "")
        typer.echo(f"  {pointer}: {detail}", err=True)
    if request_id := getattr(error, "request_id", None):
        typer.echo(f"  request id: {request_id}", err=True)
    return typer.Exit(1)
