"""`events`: follow the event log."""

from __future__ import annotations

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
    new: bool = typer.Option(False, "--new", help="Start with what happens from now on."),
    types: list[str] = typer.Option(
        [], "--type", help="Only these, such as email.bounced or email.*; repeat for more."
    ),
    follow: bool = typer.Option(True, help="Keep waiting for new events; --no-follow ends at the end of the log."),
    interval: float = typer.Option(1.0, min=0.1, max=60, help="Seconds between looks."),
    as_json: bool = typer.Option(False, "--json", help="Print each event as one line of JSON."),
) -> None:
    """Print events as they happen. Nothing is skipped and nothing comes twice, also when the server was away."""
    from penguinmails import PenguinMailsError

    from penguinmails_api.cli.event_source import EventSource
    from penguinmails_api.runtime.connect import api_client

    if new and after:
        raise typer.BadParameter("give --after or --new, not both", param_hint="--new")
    with api_client() as client:
        source = EventSource(client, types=types, after=after, follow=follow, interval=interval)
        try:
            if new:
                source.skip_to_end()
            for event in source:
                typer.echo(_line(event, as_json))
        except PenguinMailsError as error:
            raise fail(error) from None
        except KeyboardInterrupt:
            if source.cursor:
                typer.echo(f"Go on with: penguinmails events tail --after {source.cursor}", err=True)


def _line(event: dict[str, Any], as_json: bool) -> str:
    if as_json:
        import json

        return json.dumps(event, ensure_ascii=False)
    data = event.get("data", {})
    recipient = (data.get("recipient") or {}).get("address", "")
    return f"{event['timestamp']}  {event['type']:<24}  {recipient:<32}  {data.get('email_id', event['id'])}"
