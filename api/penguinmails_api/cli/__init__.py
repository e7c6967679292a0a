"""The `penguinmails` command."""

from __future__ import annotations

import sys
from typing import NoReturn

from pydantic import ValidationError

from penguinmails_api.cli.app import app
from penguinmails_core.config import ConfigError, check_environment
from penguinmails_core.embedded import EmbeddedError


def main() -> None:
    """Errors that an operator can act on are one sentence on stderr, never a stack trace."""
    try:
        check_environment()
        app()
    except (ConfigError, EmbeddedError) as error:
        _fail(str(error))
    except ValidationError as error:
        # Settings are the only models that are built here from what an operator wrote.
        _fail("; ".join(f"{error.title}.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()))


def _fail(message: str) -> NoReturn:
    print(f"penguinmails: {message}", file=sys.stderr)
    raise SystemExit(2)


__all__ = ["main"]
