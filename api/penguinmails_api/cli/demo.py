"""`demo`: one real message from the SDK to the inbox and back as a webhook, in the open."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import typer

_WAIT_SECONDS = 30


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(keep: bool = typer.Option(False, help="Keep everything running afterwards, until Ctrl-C.")) -> None:
    """Start everything, send a message through the API with the Python SDK, and show what arrives.

    A real PostgreSQL and Valkey start from pip wheels, a real SMTP conversation delivers the message, DKIM-signed, into
    the capture inbox, and a signed webhook is received and verified. Nothing leaves this machine.
    """
    from penguinmails_api.cli.serve import run_until_stopped

    root = Path(tempfile.mkdtemp(prefix="penguinmails-demo-"))
    root.chmod(0o755)
    try:
        run_until_stopped(lambda stop: _demo(root, stop, keep))
    except (TimeoutError, RuntimeError) as error:
        typer.secho(f"  ✗ {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    finally:
        shutil.rmtree(root, ignore_errors=True)


class _Steps:
    """A line a step, with the time it took."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def done(self, text: str, detail: str = "") -> None:
        now = time.monotonic()
        typer.secho("  ✓ ", fg="green", nl=False)
        typer.echo(f"{text:<34} {now - self._last:5.1f} s   {detail}".rstrip())
        self._last = now


async def _demo(root: Path, stop: asyncio.Event, keep: bool) -> None:
    from penguinmails import PenguinMails

    from penguinmails_api.cli.receiver import WebhookReceiver
    from penguinmails_api.runtime.local import LocalOptions, LocalStack
    from penguinmails_api.runtime.provision import create_tenant
    from penguinmails_sender.inbox.verdict import verify

    typer.echo("PenguinMails demo: everything is real and stays on this machine.\n")
    steps = _Steps()
    async with (
        LocalStack(LocalOptions(root, throwaway=True, allow_private_webhooks=True)) as stack,
        WebhookReceiver() as receiver,
    ):
        steps.done("PostgreSQL, Valkey, API, sender", stack.base_url)
        tenant = await create_tenant(stack.services.database, stack.box, "Acme", "acme.test")
        steps.done("organization, domain, DKIM keys", "acme.test")
        client = PenguinMails(api_key=tenant.api_key, base_url=stack.base_url)
        try:
            endpoint = await asyncio.to_thread(client.webhook_endpoints.create, url=receiver.url, events=["email.*"])
            steps.done("webhook endpoint", endpoint.id)
            email = await asyncio.to_thread(
                client.emails.send,
                from_=f"Penguin <{tenant.sender}>",
                to=["Ada <ada@example.com>"],
                subject="Hello from PenguinMails 🐧",
                text="It works: queued, signed, delivered, reported.\n",
                html="<h1>It works 🐧</h1><p>Queued, signed, delivered, reported.</p>",
                tags=["demo"],
            )
            steps.done("message accepted by the API", email.id)
            captured = await stack.inbox.store.wait_for(lambda message: True, timeout=_WAIT_SECONDS)
            verdicts = await verify(captured.raw, stack.lookup)
            shown = ", ".join(f"{v.algorithm} {v.verdict}" for v in verdicts)
            steps.done("delivered by SMTP, DKIM verified", shown)
            if not verdicts or any(v.verdict != "pass" for v in verdicts):
                raise RuntimeError(f"DKIM did not verify: {[v.reason for v in verdicts]}")
            event = await receiver.wait_for("email.delivered", str(endpoint.secret), client, _WAIT_SECONDS)
            steps.done("signed webhook received, verified", f"{event.type} {event.id}")
            current = await asyncio.to_thread(client.emails.get, email.id)
            steps.done("status read back through the API", str(_value(current.status)))
        finally:
            client.close()
        typer.echo("\nAll of it worked. Next: `make run`, then the first curl in README.md.")
        if keep:
            typer.echo(f"API {stack.base_url}   key {tenant.api_key}\nInbox {stack.inbox_url}   Stop with Ctrl-C.")
            await stop.wait()


def _value(status: Any) -> Any:
    return getattr(status, "value", status)
