"""How commands talk: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from typing import Any

import typer


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def fail(error: Any) -> typer.Exit:
    """Show an SDK error: what went wrong with the request id to quote, and each field."""
    typer.secho(f"penguinmails: {error}", fg="red", err=True)
    for item in getattr(error, "errors", None) or ():
        pointer = item.get("pointer") if isinstance(item, dict) else getattr(item, "pointer", "")
        detail = item.get("detail") if isinstance(item, dict) else getattr(item, "detail", "")
        typer.echo(f"  {pointer}: {detail}", err=True)
    return typer.Exit(1)
