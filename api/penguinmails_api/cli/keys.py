"""`keys`: API keys straight from the database, for the operator of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import typer

from penguinmails_api.cli.output import show_json

if TYPE_CHECKING:
    from penguinmails_core.kit.db import Database
    from penguinmails_core.kit.doorbell import Doorbell
    from penguinmails_core.models import ApiKey

Value = TypeVar("Value")

app = typer.Typer(help="API keys.", no_args_is_help=True)

_ORGANIZATION = typer.Option("", help="Organization id (org_...); not needed when there is only one.")
_JSON = typer.Option(False, "--json", help="Print JSON.")
_KEY = typer.Argument(help="Key id (key_...), as `keys list` shows it.")


@app.callback()
def group() -> None:
    """API keys."""


@app.command()
def create(
    name: str = typer.Option("cli", help="What the key is for."),
    mode: str = typer.Option("live", help="live or test."),
    organization: str = _ORGANIZATION,
    scope: list[str] = typer.Option([], help="Scope such as emails:write; repeat it. Default: all."),
    preset: str = typer.Option("", help="A bundle of scopes instead, such as send_email or read_only."),
    workspace: str = typer.Option("", help="Workspace id (ws_...): the key sees only this one."),
    allow_ip: list[str] = typer.Option([], help="Address or network it may be used from; repeat it."),
    allow_mailbox: list[str] = typer.Option([], help="Address it may send from; repeat it."),
    allow_domain: list[str] = typer.Option([], help="Domain it may send from; repeat it."),
    max_sends_per_day: int = typer.Option(0, min=0, help="Recipients a day (UTC). Default: no cap."),
    expires_in_days: float = typer.Option(0, min=0, help="Days until it ends. Default: never."),
    as_json: bool = _JSON,
) -> None:
    """Create a key and print it: this once."""
    from penguinmails_core.api_keys.service import create_key
    from penguinmails_core.kit.clock import utcnow

    scopes = _scopes(scope, preset)
    if mode not in ("live", "test"):
        raise typer.BadParameter("must be live or test", param_hint="--mode")
    limits: dict[str, Any] = {
        "allowed_ips": allow_ip or None,
        "allowed_mailboxes": allow_mailbox or None,
        "allowed_domains": allow_domain or None,
        "max_sends_per_day": max_sends_per_day or None,
        "expires_at": utcnow() + timedelta(days=expires_in_days) if expires_in_days else None,
    }
    workspace_id = _decode("ws", workspace, "--workspace") if workspace else None

    async def work(database: Database, _: Doorbell, organization_id: UUID) -> tuple[ApiKey, str]:
        return await create_key(
            database,
            organization_id,
            mode=mode,
            name=name,
            scopes=scopes,
            workspace_id=workspace_id,
            announce=True,
            **limits,
        )

    key, secret = _run(organization, work)
    if as_json:
        show_json(_as_dict(key) | {"secret": secret})
    else:
        typer.echo(secret)


@app.command("list")
def list_keys(organization: str = _ORGANIZATION, as_json: bool = _JSON) -> None:
    """Show all keys, the newest first, ended ones too."""
    from penguinmails_core.api_keys.repository import list_for_organization

    async def work(database: Database, _: Doorbell, organization_id: UUID) -> list[ApiKey]:
        async with database.tenant(organization_id) as session:
            return await list_for_organization(session, organization_id)

    keys = [_as_dict(key) for key in _run(organization, work)]
    if as_json:
        show_json(keys)
        return
    for key in keys:
        used = key["last_used_at"] or "never used"
        limits = ", ".join(f"{name}={key[name]}" for name in _LIMITS if key[name] is not None)
        typer.echo(f"{key['id']}  {key['status']:<8} {key['hint']:<18} {used:<25} {key['name']}  {limits}".rstrip())


@app.command()
def rotate(
    key: str = _KEY,
    organization: str = _ORGANIZATION,
    overlap_hours: float = typer.Option(24, min=0, max=168, help="How long the secret before keeps working."),
    as_json: bool = _JSON,
) -> None:
    """Give a key a new secret and print it: this once."""
    from penguinmails_core.api_keys.service import rotate_key

    key_id = _decode("key", key, "KEY")

    async def work(database: Database, doorbell: Doorbell, organization_id: UUID) -> tuple[ApiKey, str]:
        return await rotate_key(database, doorbell, organization_id, key_id, timedelta(hours=overlap_hours))

    row, secret = _run(organization, work)
    if as_json:
        show_json(_as_dict(row) | {"secret": secret})
    else:
        typer.echo(secret)


@app.command()
def revoke(key: str = _KEY, organization: str = _ORGANIZATION, as_json: bool = _JSON) -> None:
    """End a key, and all keys derived from it, for good."""
    from penguinmails_core.api_keys.service import revoke_key

    key_id = _decode("key", key, "KEY")

    async def work(database: Database, doorbell: Doorbell, organization_id: UUID) -> ApiKey:
        return await revoke_key(database, doorbell, organization_id, key_id)

    row = _run(organization, work)
    if as_json:
        show_json(_as_dict(row))
    else:
        typer.echo(f"{key} is revoked.")


_LIMITS = ("workspace_id", "allowed_ips", "allowed_mailboxes", "allowed_domains", "max_sends_per_day", "expires_at")


def _scopes(scope: list[str], preset: str) -> list[str]:
    from penguinmails_core.api_keys.presets import BY_NAME
    from penguinmails_core.scopes import ALL_SCOPES

    if preset and scope:
        raise typer.BadParameter("give --scope or --preset, not both", param_hint="--preset")
    if preset:
        if preset not in BY_NAME or not BY_NAME[preset].scopes:
            usable = ", ".join(name for name, bundle in BY_NAME.items() if bundle.scopes)
            raise typer.BadParameter(f"there are {usable}", param_hint="--preset")
        return [str(one) for one in BY_NAME[preset].scopes]
    unknown = sorted(set(scope) - set(ALL_SCOPES))
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)} unknown; there are {', '.join(ALL_SCOPES)}", param_hint="--scope"
        )
    return scope or [str(one) for one in ALL_SCOPES]


def _decode(prefix: str, text: str, hint: str) -> UUID:
    from penguinmails_core.kit import ids

    try:
        return ids.decode(prefix, text)
    except ids.IdError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def _as_dict(key: ApiKey) -> dict[str, Any]:
    """As the API shows it."""
    from penguinmails_api.v1.api_keys.schemas import ApiKey as Shown

    return Shown.of(key).model_dump(mode="json")


def _run(organization: str, work: Callable[[Database, Doorbell, UUID], Awaitable[Value]]) -> Value:
    """Do `work` for the organization named, or the only one; problems become one line and exit code 1."""
    from redis.asyncio import Redis

    from penguinmails_api.cli.choose import choose_organization
    from penguinmails_api.runtime.connect import database_url, redis_url
    from penguinmails_api.runtime.patience import database_reachable
    from penguinmails_api.services import Settings
    from penguinmails_core.errors import Problem
    from penguinmails_core.kit.db import Database
    from penguinmails_core.kit.doorbell import Doorbell

    settings = Settings()
    url, bell = database_url(settings), redis_url(settings)

    async def main() -> Value:
        await database_reachable(url, seconds=0)
        database = await Database.open(url, pool_size=1, ingest_connections=1, worker_connections=1)
        redis = Redis.from_url(bell) if bell else None
        doorbell = Doorbell(redis)
        try:
            return await work(database, doorbell, await choose_organization(database, organization))
        finally:
            await doorbell.flush()
            await doorbell.stop()
            if redis is not None:
                await redis.aclose()
            await database.close()

    try:
        return asyncio.run(main())
    except Problem as problem:
        typer.secho(f"penguinmails: {problem.detail}", fg="red", err=True)
        for error in problem.errors:
            typer.echo(f"  {error.pointer}: {error.detail}", err=True)
        raise typer.Exit(1) from None
