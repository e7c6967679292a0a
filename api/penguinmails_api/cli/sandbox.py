"""`sandbox`: a throwaway stack for tests and tools, described by one JSON line."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import typer


def add_to(app: typer.Typer) -> None:
    app.command()(sandbox)


def sandbox(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON line when ready (and nothing else) to stdout."),
    keep: bool = typer.Option(False, help="Keep the data folder afterwards and say where it is."),
) -> None:
    """Start a throwaway stack on free ports with two organizations.

    With --json, one line says where everything is: base_url, inbox_url, smtp_port, database_url, redis_url,
    organizations [{id, api_key, test_key, from}] and oauth {client_id, client_secret, redirect_uri, scope, cookie}, a
    client of the first organization and the cookie of a browser that is signed in there. It stops when standard input
    closes or on SIGTERM. Webhook receivers on private addresses are allowed.
    """
    from penguinmails_api.cli.serve import run_until_stopped
    from penguinmails_api.runtime.local import LocalOptions, LocalStack
    from penguinmails_api.runtime.provision import create_oauth_client, create_tenant
    from penguinmails_core.identity.origin import PublicUrl

    root = Path(tempfile.mkdtemp(prefix="penguinmails-sandbox-"))
    root.chmod(0o755)  # PostgreSQL may have to run as another user; its own folder is closed
    options = LocalOptions(root=root, throwaway=True, allow_private_webhooks=True)

    async def main(stop: asyncio.Event) -> None:
        async with LocalStack(options) as stack:
            tenants = [
                await create_tenant(stack.services.database, stack.box, name, domain)
                for name, domain in (("Acme", "acme.test"), ("Globex", "globex.test"))
            ]
            # The issuer must be the very URL that is told: clients compare the two.
            stack.services.public = PublicUrl.of(stack.base_url)
            client = await create_oauth_client(stack.services, tenants[0], "owner@acme.test")
            description = {
                "base_url": stack.base_url,
                "inbox_url": stack.inbox_url,
                "smtp_port": stack.smtp_port,
                "database_url": stack.database_url,
                "redis_url": stack.redis_url,
                "organizations": [
                    {"id": t.id, "api_key": t.api_key, "test_key": t.test_key, "from": t.sender} for t in tenants
                ],
                "oauth": asdict(client),
            }
            print(json.dumps(description, indent=None if as_json else 2), flush=True)
            await stop.wait()

    try:
        run_until_stopped(main, with_parent=True)
    finally:
        if keep:
            typer.echo(f"data kept in {root}", err=True)
        else:
            shutil.rmtree(root, ignore_errors=True)
