"""`events`: follow the event log."""

from __future__ import annotations

import time
from typing import Any

import typer

from penguinmails_api.cli.output import fail

app = typer.Typer(help="The event log.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The event log."""


@app.command()
def tail(
    after: str = typer.Option(None, help="Start after this event id or cursor. Default: show the whole log first."),
    follow: bool = typer.Option(True, help="Keep waiting for new events; --no-follow ends at the end of the log."),
    interval: float = typer.Option(1.0, min=0.1, max=60, help="Seconds between looks."),
    as_json: bool = typer.Option(False, "--json", help="Print each event as one line of JSON."),
) -> None:
    """Print events as they happen. Nothing is skipped and nothing comes twice."""
    from penguinmails import PenguinMailsError

    from penguinmails_api.runtime.connect import api_client

    cursor = after
    with api_client() as client:
        try:
            while True:
                page = client.events.list(limit=100, **({"after": cursor} if cursor else {}))
                for event in page.data:
                    typer.echo(_line(event.to_dict(), as_json))
                    cursor = event.id
                if not page.has_more:
                    if not follow:
                        return
                    time.sleep(interval)
        except PenguinMailsError as error:
            raise fail(error) from None
        except KeyboardInterrupt:
            return


def _line(event: dict[str, Any], as_json: bool) -> str:
    if as_json:
        import json

        return json.dumps(event, default=str, ensure_ascii=False)
    data = event.get("data", {})
    recipient = (data.get("recipient") or {}).get("address", "")
    return f"{event['timestamp']}  {event['type']:<24}  {recipient:<32}  {data.get('email_id', event['id'])}"
