"""`run`, `serve` and `worker`: the long-running processes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer


def run_until_stopped(main: Any, *, with_parent: bool = False) -> None:
    """Run the coroutine function ``main(stop)``; SIGINT and SIGTERM set `stop`, and so does the end of standard input
    when `with_parent`. Uses uvloop where it exists."""

    async def runner() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if with_parent:
            watch_stdin(loop, stop)
        await main(stop)

    try:
        import uvloop
    except ImportError:
        asyncio.run(runner())
    else:
        uvloop.run(runner())


def watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when standard input closes: the sign that whoever started us is gone.

    Only a pipe or a socket has somebody at its other end; a terminal, a file or /dev/null (where shells and service
    managers point it) says nothing. A thread reads, because uvloop ends the process over descriptors it cannot poll.
    """
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def drain() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        with suppress(RuntimeError):  # the loop is closed: we are ending anyway
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=drain, name="stdin", daemon=True).start()


def add_to(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(serve)
    app.command()(worker)


def run(
    data_dir: Path = typer.Option(None, help="Folder for everything. Default: PENGUINMAILS_DATA_DIR or .penguinmails."),
    port: int = typer.Option(None, help="Port of the API. Default: PENGUINMAILS_API_PORT or 8025; 0 picks a free one."),
    inbox_port: int = typer.Option(8026, help="Port of the inbox page; 0 picks a free one."),
    smtp_port: int = typer.Option(0, help="Port of the inbox's SMTP server; 0 picks a free one."),
) -> None:
    """Run everything here: embedded PostgreSQL and Valkey, API, sender, webhooks and the capture inbox.

    DATABASE_URL and REDIS_URL switch to servers of yours. Nothing leaves the machine unless
    PENGUINMAILS_SENDER_TRANSPORT says so. The first start prints an API key, once.
    """
    from penguinmails_api.runtime.local import LocalOptions, LocalStack
    from penguinmails_api.runtime.provision import create_tenant
    from penguinmails_api.services import Settings
    from penguinmails_core.organizations.service import list_organizations

    settings = Settings()
    options = LocalOptions(
        root=data_dir or settings.stack.data_dir,
        host=settings.api.host,
        api_port=settings.api.port if port is None else port,
        inbox_port=inbox_port,
        smtp_port=smtp_port,
    )

    async def main(stop: asyncio.Event) -> None:
        async with LocalStack(options, settings) as stack:
            if not await list_organizations(stack.services.database):
                tenant = await create_tenant(stack.services.database, stack.box, "My organization", "acme.test")
                typer.echo(f"API key       {tenant.api_key}   (shown this once)")
                typer.echo(f"Test key      {tenant.test_key}")
                typer.echo(f"Send from     {tenant.sender}")
            typer.echo(f"API           {stack.base_url}   (specification: {stack.base_url}/openapi.json)")
            typer.echo(f"Inbox         {stack.inbox_url}")
            typer.echo("Stop with Ctrl-C.")
            await stop.wait()
            typer.echo("Stopping…", err=True)

    run_until_stopped(main)


def serve(
    host: str = typer.Option(None, help="Address to listen on. Default: PENGUINMAILS_API_HOST."),
    port: int = typer.Option(None, help="Port to listen on. Default: PENGUINMAILS_API_PORT."),
) -> None:
    """Serve the API alone, on DATABASE_URL and REDIS_URL. Run `penguinmails worker` beside it."""
    from penguinmails_api.app import create_gateway
    from penguinmails_api.runtime.connect import database_url, redis_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.runtime.provision import prepare_mail
    from penguinmails_api.runtime.secrets import configured_keys, secret_box
    from penguinmails_api.runtime.server import ApiServer, calm_collector
    from penguinmails_api.services import Settings, open_services

    settings = Settings()
    url = database_url(settings)
    box = secret_box(configured_keys(settings.stack))

    async def main(stop: asyncio.Event) -> None:
        await database_reachable(url)
        services = await open_services(url, redis_url(settings), settings, box=box)
        server = ApiServer(
            create_gateway(services),
            host or settings.api.host,
            settings.api.port if port is None else port,
        )
        try:
            server.bind()
            services.serve_at(server.url)
            await prepare_mail(services)
            await server.start()
            calm_collector()
            typer.echo(server.url)
            await stop.wait()
        finally:
            await server.stop()
            await services.close()

    run_until_stopped(main)


def worker(
    with_parent: bool = typer.Option(False, hidden=True, help="End when standard input closes."),
) -> None:
    """Send mail and deliver webhooks, on DATABASE_URL and REDIS_URL. Run as many as you like."""
    from penguinmails_api.runtime.connect import database_url, redis_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.runtime.secrets import configured_keys, secret_box
    from penguinmails_api.runtime.server import calm_collector
    from penguinmails_api.runtime.worker import Worker
    from penguinmails_api.services import Settings

    settings = Settings()
    url = database_url(settings)
    box = secret_box(configured_keys(settings.stack))

    async def main(stop: asyncio.Event) -> None:
        await database_reachable(url)
        async with Worker(url, redis_url(settings), box, settings):
            calm_collector()
            typer.echo("ready")
            await stop.wait()

    run_until_stopped(main, with_parent=with_parent)
