"""Where commands find the database and the API: the environment first, then a stack that runs on this machine."""

from __future__ import annotations

import json
import os
from typing import Any

from penguinmails_api.runtime.state import state_path
from penguinmails_api.services import Settings, local_url
from penguinmails_core.config import ConfigError


def local_state(settings: Settings) -> dict[str, Any]:
    """What `penguinmails run` wrote about itself; empty when nothing runs here."""
    path = state_path(settings.stack.data_dir)
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        os.kill(state["pid"], 0)
    except (OSError, ValueError, KeyError):
        return {}
    return state


def database_url(settings: Settings) -> str:
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    if url := local_state(settings).get("database_url"):
        return str(url)
    raise ConfigError("set DATABASE_URL, or start `penguinmails run` in this folder first")


def redis_url(settings: Settings) -> str | None:
    if settings.redis.url is not None:
        return settings.redis.url.get_secret_value()
    url = None if settings.database.url is not None else local_state(settings).get("redis_url")
    return str(url) if url else None


def public_url(settings: Settings) -> str:
    """Where people reach the server: the setting, the stack that runs here, or where it would listen."""
    if settings.stack.public_url is not None:
        return settings.stack.public_url
    url = local_state(settings).get("public_url")
    return str(url) if url else local_url(f"http://localhost:{settings.api.port}").base


def client_url(settings: Settings | None = None) -> str:
    """Where client commands find the server: `PENGUINMAILS_BASE_URL`, or the one that runs on this machine."""
    known = os.environ.get("PENGUINMAILS_BASE_URL")
    return known or str(local_state(settings or Settings()).get("base_url") or "http://127.0.0.1:8025")


def api_client(settings: Settings | None = None) -> Any:
    """The Python SDK, as `PENGUINMAILS_API_KEY` and `PENGUINMAILS_BASE_URL` say; without a key, as somebody who has
    signed in (`penguinmails login`)."""
    try:
        from penguinmails import PenguinMails
    except ImportError:
        raise ConfigError("this command uses the Python SDK: pip install penguinmails") from None
    from penguinmails_api.runtime import login

    base_url = os.environ.get("PENGUINMAILS_BASE_URL") or local_state(settings or Settings()).get("base_url")
    if os.environ.get("PENGUINMAILS_API_KEY"):
        return PenguinMails(base_url=base_url) if base_url else PenguinMails()
    known = login.find(base_url) or (None if base_url else login.find(None))
    if known is None:
        raise ConfigError(
            "run `penguinmails login`, or set PENGUINMAILS_API_KEY; `penguinmails keys create` makes a key"
        )
    server = known.server
    return PenguinMails(lambda: login.access_token(server), base_url=server)
