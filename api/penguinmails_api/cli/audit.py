"""`audit`: check the audit log, straight from the database, for the operator of the machine."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from penguinmails_core.audit.verification import Verdict

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The audit log."""


@app.command()
def verify(
    organization: str = typer.Option("", help="Organization id (org_...). Default: all of them."),
    noted: str = typer.Option("", help="SEQUENCE:HASH of an earlier run, of this organization: finds a rewritten log."),
) -> None:
    """Walk the chain of hashes and print the first break of each organization. Exit code 1 when there is one.

    Keep the printed sequence and hash somewhere else: somebody who may write to the database can rewrite a whole chain,
    and it then differs from what you noted.
    """
    from penguinmails_api.runtime.connect import database_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.audit.repository import organizations
    from penguinmails_core.audit.verification import verify as verify_chain
    from penguinmails_core.kit import ids
    from penguinmails_core.kit.db import Database

    place = _noted(noted)
    if place is not None and not organization:
        raise typer.BadParameter("goes with --organization", param_hint="--noted")
    url = database_url(Settings())

    async def main() -> list[Verdict]:
        await database_reachable(url, seconds=0)
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=1)
        try:
            if organization:
                try:
                    wanted = [ids.decode("org", organization)]
                except ids.IdError as error:
                    raise typer.BadParameter(str(error), param_hint="--organization") from None
            else:
                wanted = await organizations(database.worker)
            return [await verify_chain(database, found, noted=place) for found in wanted]
        finally:
            await database.close()

    verdicts = asyncio.run(main())
    for verdict in verdicts:
        _show(verdict)
    if any(verdict.broken for verdict in verdicts):
        raise typer.Exit(1)


def _noted(text: str) -> tuple[int, bytes] | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}:([0-9a-f]{64})?", text):
        raise typer.BadParameter("must be SEQUENCE:HASH, as `audit verify` prints it", param_hint="--noted")
    sequence, _, digest = text.partition(":")
    return int(sequence), bytes.fromhex(digest)


def _show(verdict: Verdict) -> None:
    from penguinmails_core.kit import ids

    name = ids.encode("org", verdict.organization_id)
    dropped = f", {verdict.dropped} dropped by retention" if verdict.dropped else ""
    broken = verdict.broken
    if broken is None:
        typer.echo(f"ok    {name}  {verdict.entries} entries{dropped}  {verdict.sequence}:{verdict.hash.hex()}")
        return
    entry = f" ({ids.encode('aud', broken.entry_id)})" if broken.entry_id else ""
    typer.secho(f"BREAK {name}  at entry {broken.sequence}{entry}: {broken.reason}", fg="red")
