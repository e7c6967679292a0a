"""`listen`: events to a server on your own machine, signed as webhooks. No tunnel: the log is read from here."""

from __future__ import annotations

import base64
import hmac
import json
import os
from typing import TYPE_CHECKING, Any

import typer

from penguinmails_api.cli.output import fail

if TYPE_CHECKING:
    from penguinmails_core.kit.http import HttpResult

TIMEOUT = 15.0  # seconds; what the server itself waits for a receiver


def add_to(app: typer.Typer) -> None:
    app.command()(listen)


def listen(
    forward_to: str = typer.Option(
        None, "--forward-to", help="Where to POST events, such as http://localhost:3000/hook."
    ),
    events: list[str] = typer.Option(
        [], "--events", help="Only these, such as email.bounced or email.*; repeat for more."
    ),
    after: str = typer.Option(None, help="Start after this event id. Default: what happens from now on."),
    from_start: bool = typer.Option(False, "--from-start", help="Start with the oldest event that is kept."),
    follow: bool = typer.Option(True, help="Keep waiting; --no-follow ends at the end of the log."),
    interval: float = typer.Option(1.0, min=0.1, max=60, help="Seconds between looks."),
    secret: str = typer.Option(
        None,
        envvar="PENGUINMAILS_WEBHOOK_SECRET",
        help="Sign with this whsec_... Default: one made from the API key, so that it stays the same.",
        show_default=False,
    ),
    print_secret: bool = typer.Option(False, "--print-secret", help="Print the signing secret, and do nothing else."),
) -> None:
    """Forward events to a server on this machine, signed as webhooks are. Nothing on the server is changed.

    Each event is tried once and shown with its answer; Ctrl-C says how to go on. Exit status with --no-follow: 1 when
    one was not answered with 2xx.
    """
    from penguinmails_webhooks.signing import SecretError, decode_secret

    secret = secret or local_secret()
    try:
        decode_secret(secret)
    except SecretError as error:
        raise typer.BadParameter(str(error), param_hint="--secret") from None
    if print_secret:
        typer.echo(secret)
        return
    if not forward_to:
        raise typer.BadParameter("say where to: --forward-to http://localhost:3000/hook", param_hint="--forward-to")
    if after and from_start:
        raise typer.BadParameter("give --after or --from-start, not both", param_hint="--from-start")
    _listen(complete_url(forward_to), events, after, from_start, follow, interval, secret)


def _listen(
    url: str, events: list[str], after: str | None, from_start: bool, follow: bool, interval: float, secret: str
) -> None:
    from penguinmails import PenguinMailsError

    from penguinmails_api.cli.event_source import EventSource
    from penguinmails_api.runtime.connect import api_client

    failed = 0
    with api_client() as client, Forwarder(url, secret) as forwarder:
        source = EventSource(client, types=events, after=after, follow=follow, interval=interval)
        try:
            if not after and not from_start:
                source.skip_to_end()
            typer.echo(f"Forwarding to {url}, signed with {secret}. Stop with Ctrl-C.", err=True)
            for event in source:
                good, line = forwarder.forward(event)
                source.cursor = event["id"]  # what is shown is done, also when Ctrl-C comes now
                typer.secho(line, fg=None if good else "red")
                failed += not good
        except PenguinMailsError as error:
            raise fail(error) from None
        except KeyboardInterrupt:
            if source.cursor:
                typer.echo(f"Go on with: penguinmails listen --forward-to {url} --after {source.cursor}", err=True)
            return
    if failed:
        raise typer.Exit(1)


def complete_url(text: str) -> str:
    """``localhost:3000/hook`` means plain http."""
    return text if "://" in text else f"http://{text}"


def local_secret() -> str:
    """Made from the API key: the same on every start, and no way back to the key. Random when there is no key."""
    from penguinmails_webhooks.signing import SECRET_PREFIX, generate_secret

    if not (key := os.environ.get("PENGUINMAILS_API_KEY")):
        return generate_secret()
    return SECRET_PREFIX + base64.b64encode(hmac.digest(key.encode(), b"penguinmails listen", "sha256")).decode()


class Forwarder:
    """``with Forwarder(url, secret) as forwarder``: POSTs signed events.

    Raises `typer.BadParameter` for a URL that cannot be called.
    """

    def __init__(self, url: str, secret: str) -> None:
        import asyncio

        from penguinmails_core.kit.http import OutgoingError, OutgoingHttp

        self._url = url
        self._secret = secret
        self._http = OutgoingHttp(allow_private=True, timeout=TIMEOUT)
        try:
            self._http.check_url(url)
        except OutgoingError as error:
            raise typer.BadParameter(error.detail, param_hint="URL") from None
        self._runner = asyncio.Runner()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._http.close())
        self._runner.close()

    def forward(self, event: dict[str, Any]) -> tuple[bool, str]:
        """Whether it was answered with 2xx, and a line about it."""
        from penguinmails_core.kit.http import OutgoingError

        head = f"{event['timestamp']}  {event['type']:<24}  {event['id']}"
        try:
            result = self._runner.run(self._post(event))
        except OutgoingError as error:
            return False, f"{head}  ✗ {error}"
        good = 200 <= result.status < 300
        return good, f"{head}  {'→' if good else '✗'} {result.status}  {result.duration_ms} ms"

    async def _post(self, event: dict[str, Any]) -> HttpResult:
        import time

        from penguinmails_webhooks.signing import signed_headers

        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        headers = signed_headers([self._secret], event["id"], int(time.time()), body)
        return await self._http.post(
            self._url, body=body, headers=headers | {"content-type": "application/json"}, repeatable=True
        )
